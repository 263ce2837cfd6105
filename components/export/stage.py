"""The export stage: checkpoint in, SavedModel out, checked in a fresh process before it leaves."""

import datetime
import hashlib
import json
import logging
import os
from dataclasses import asdict, replace
from pathlib import Path

from components.errors import UserError
from components.export.exported import SCHEMA_VERSION, Decoding, Description, ExportedModel
from components.tokenize.corpus import Corpus
from components.train.checkpoint import Checkpoint
from components.whole import whole_folder

log = logging.getLogger(__name__)

CHECKED = 64

SIGNATURES = """# Signatures

## `serving_default`

| | name | type | shape | meaning |
|---|---|---|---|---|
| input | `text` | string, UTF-8 | `[batch]` | text in {source} |
| output | `text` | string, UTF-8 | `[batch]` | text in {target} |
| output | `score` | float32 | `[batch]` | log probability / length ^ {length_penalty}; higher is better |

Any batch size, 0 included. An input of more than {max_input_length} pieces is cut at its end, to {max_input_length}
with the end of sentence. An output has at most {max_output_length} pieces. Decoding is {search}.
"""


def export(checkpoint: Path, corpus: Path, output: Path, decoding: Decoding = Decoding()) -> Description:  # noqa: B008
    """Writes a trained model as a SavedModel that takes text and gives text.

    Before it appears, it is loaded in a fresh process and must give the same text there for the first validation
    texts as the trained model gives here. The output's layout is in `components.export.exported`.

    Args:
        checkpoint: The checkpoint folder that train wrote.
        corpus: The corpus folder that tokenize wrote: its validation text is what is compared.
        output: The model folder to write.
        decoding: How the exported model decodes.

    Returns:
        What model.json says.

    Raises:
        UserError: If the checkpoint is incomplete or its weights do not fit its configuration.
        RuntimeError: If the exported model does not run elsewhere, or answers otherwise than the trained one.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from components.export.translator import Translator
    from components.export.verify import foreign_ops, translate_elsewhere
    from components.train.model import TransformerConfig, make_model

    trained = Checkpoint(checkpoint)
    config = trained.read_config()
    model = make_model(TransformerConfig.from_dict(config["model"]))
    try:
        model.load_weights(trained.weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"{trained.weights} does not fit {trained.config}: {error}; train again") from None
    limit = model.config.max_length
    decoding = replace(
        decoding,
        max_input_length=min(decoding.max_input_length, limit),
        max_output_length=min(decoding.max_output_length, limit),
    )
    description = Description(
        fingerprint=_fingerprint(trained, decoding),
        source_language=config["source_language"],
        target_language=config["target_language"],
        decoding=decoding,
        corpus_fingerprint=config["corpus_fingerprint"],
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        tensorflow=tf.__version__,
    )
    translator = Translator(model, trained.tokenizer, decoding)
    texts = [pair["source"] for pair in Corpus(corpus).read_text("valid")[:CHECKED]]
    with whole_folder(output) as folder:
        tf.saved_model.save(translator, str(folder), signatures={"serving_default": translator.translate})
        log.info("wrote the SavedModel; checking it in a fresh process")
        written = ExportedModel(folder)
        written.write_description(description)
        search = "greedy" if decoding.beam_size == 1 else f"beam search of {decoding.beam_size}"
        languages = {"source": description.source_language, "target": description.target_language}
        (folder / "signatures.md").write_text(SIGNATURES.format(**asdict(decoding), **languages, search=search))
        foreign = foreign_ops(folder)
        if foreign:
            raise RuntimeError(f"the graph has ops that a model server does not link: {', '.join(foreign)}")
        here = [answer.decode() for answer in translator.translate(tf.constant(texts, tf.string))["text"].numpy()]
        for text, ours, theirs in zip(texts, here, translate_elsewhere(folder, texts), strict=True):
            if ours != theirs:
                raise RuntimeError(f"reloaded, the model answers {text!r} with {theirs!r}, not with {ours!r}")
    log.info("the exported model gives the same text for %d validation texts", len(texts))
    return description


def _fingerprint(checkpoint: Checkpoint, decoding: Decoding) -> str:
    """Hashes what decides the model's answers; a SavedModel's own bytes differ from one export to the next."""
    import h5py
    import numpy as np

    digest = hashlib.sha256(json.dumps([SCHEMA_VERSION, asdict(decoding)], sort_keys=True).encode())
    digest.update(json.dumps(checkpoint.read_config()["model"], sort_keys=True).encode())
    digest.update(checkpoint.tokenizer.read_bytes())
    with h5py.File(checkpoint.weights) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in sorted(names):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(file[name][()]).tobytes())
    return digest.hexdigest()
