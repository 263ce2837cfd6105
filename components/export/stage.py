"""The export stage: checkpoint in, SavedModel out, checked in a fresh process before it leaves."""

import datetime
import hashlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus, Manifest
from seqline.artifacts.exported_model import SCHEMA_VERSION, Decoding, Description, ExportedModel
from seqline.atomic import atomic_directory
from seqline.components.export import card
from seqline.components.export.options import DecodingOptions, ModelCardOptions
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)

CHECKED = 64
CHECKED_PLAINLY = 8
WARM_UP = 8
# A model that was trained on short texts only still takes inputs of this length.
SHORTEST_LIMIT = 128


def export(
    checkpoint: Path,
    corpus: Path,
    output: Path,
    options: DecodingOptions = DecodingOptions(),  # noqa: B008 (frozen)
    model_card: ModelCardOptions = ModelCardOptions(),  # noqa: B008 (frozen)
) -> Description:
    """Writes a trained model as a SavedModel that takes text and gives text.

    Before it appears, it must decode the first validation texts as the trained model does without caches, is loaded
    in a fresh process, and must give the same text there. The output's layout is in `seqline.artifacts.exported_model`.

    Args:
        checkpoint: The checkpoint folder that train wrote.
        corpus: The corpus folder that tokenize wrote: its validation text is what is compared.
        output: The model folder to write.
        options: How the exported model decodes.
        model_card: Licences and intended use, for the model's card.

    Returns:
        What model.json says.

    Raises:
        UserError: If the checkpoint is incomplete or its weights do not fit its configuration.
        RuntimeError: If the exported model does not run elsewhere, or answers otherwise than the trained one.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from seqline.components.export.agreement import check_agreement
    from seqline.components.export.executor import loops_in_one_thread
    from seqline.components.export.program import Program
    from seqline.components.export.signatures import describe
    from seqline.components.export.verify import foreign_ops, translate_elsewhere
    from seqline.components.export.warmup import write_warmup
    from seqline.modeling.architectures import make_model
    from seqline.modeling.config import TransformerConfig

    # Saving, TensorFlow lists every input that it gives another name: pages that help nobody.
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trained = Checkpoint(checkpoint)
    config = trained.read_config()
    model = make_model(TransformerConfig.from_dict(config["model"]))
    try:
        model.load_weights(trained.weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"{trained.weights} does not fit {trained.config}: {error}; train again") from None
    decoding = resolve(options, model.config, Corpus(corpus).read_manifest())
    description = Description(
        fingerprint=fingerprint(trained, decoding),
        source_language=config["source_language"],
        target_language=config["target_language"],
        decoding=decoding,
        corpus_fingerprint=config["corpus_fingerprint"],
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        tensorflow=tf.__version__,
    )
    program = Program(model, trained.tokenizer, decoding)
    signatures = program.signatures()
    texts = [pair["source"] for pair in Corpus(corpus).read_text("valid")[:CHECKED]]
    if decoding.weight_dtype == "float32":  # stored smaller, they are others than the trained ones
        check_agreement(model, program, signatures["parameters"], texts[:CHECKED_PLAINLY])
    with atomic_directory(output) as folder:
        tf.saved_model.save(program, str(folder), signatures=signatures)
        loops_in_one_thread(folder)
        log.info("wrote the SavedModel; checking it in a fresh process")
        written = ExportedModel(folder)
        written.write_description(description)
        (folder / "signatures.md").write_text(describe(signatures, description), encoding="utf-8")
        (folder / card.FILE).write_text(
            card.write_card(description, trained, Corpus(corpus), model_card), encoding="utf-8"
        )
        write_warmup(folder, texts[:WARM_UP] or [""])
        foreign = foreign_ops(folder)
        if foreign:
            raise RuntimeError(f"the graph has ops that a model server does not link: {', '.join(foreign)}")
        answers = signatures["serving_default"](text=tf.constant(texts, tf.string))
        here = [answer.decode() for answer in answers["text"].numpy()]
        for text, ours, theirs in zip(texts, here, translate_elsewhere(folder, texts), strict=True):
            if ours != theirs:
                raise RuntimeError(f"reloaded, the model answers {text!r} with {theirs!r}, not with {ours!r}")
    log.info("the exported model gives the same text for %d validation texts", len(texts))
    return description


def resolve(options: DecodingOptions, config: "TransformerConfig", manifest: Manifest) -> Decoding:
    """Decides the limits that are left open, and keeps all within the lengths that the model was trained for.

    Args:
        options: How the exported model is to decode.
        config: The model's shape.
        manifest: The corpus's manifest.
    """
    longest = max(int(manifest.options["max_tokens"]), SHORTEST_LIMIT)
    return Decoding(
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        max_input_length=min(options.max_input_length or longest, config.max_length),
        max_output_length=min(options.max_output_length or longest, config.max_length),
        weight_dtype=options.weight_dtype,
    )


def fingerprint(checkpoint: Checkpoint, decoding: Decoding) -> str:
    """Hashes what decides the model's answers; a SavedModel's own bytes differ from one export to the next.

    Args:
        checkpoint: The trained model.
        decoding: How the exported model decodes.

    Returns:
        SHA-256 in hexadecimal digits.
    """
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
