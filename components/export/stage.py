"""The export stage: checkpoint in, SavedModel out, verified in a fresh process."""

import datetime
import hashlib
import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from seqline.accelerators import require_gpu
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus, Manifest
from seqline.artifacts.exported_model import EXTRA, Decoding, Description, ExportedModel
from seqline.atomic import atomic_directory
from seqline.components.export import card
from seqline.components.export.lexicon import SMALLEST_VOCABULARY, make_lexicon
from seqline.components.export.options import DecodingOptions, ModelCardOptions
from seqline.components.export.reference import write_reference
from seqline.errors import UserError
from seqline.tokenizers.host import read_tokenizer

if TYPE_CHECKING:
    from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)

VERIFIED_TEXTS, COMPARED_TEXTS, WARM_UP_TEXTS = 64, 8, 8
# A model trained on a corpus with a lower max_tokens still takes inputs of this length.
SMALLEST_LIMIT = 128


def export(
    checkpoint: Path,
    corpus: Path,
    output: Path,
    options: DecodingOptions = DecodingOptions(),  # noqa: B008 (frozen)
    model_card: ModelCardOptions = ModelCardOptions(),  # noqa: B008 (frozen)
) -> Description:
    """Writes a trained model as a text-to-text SavedModel.

    Before the output appears, it must decode the first validation texts as the trained model does without caches, and
    return the same texts in a fresh process. `seqline.artifacts.exported_model` describes the output.

    Args:
        checkpoint: The checkpoint folder that train wrote.
        corpus: The corpus folder that tokenize wrote; its validation text is used for the checks.
        output: The model folder to write.
        options: Decoding options of the exported model.
        model_card: Licences and intended use, for the model's card.

    Returns:
        The content of model.json.

    Raises:
        UserError: If the checkpoint is incomplete or its weights do not fit its configuration.
        RuntimeError: If the exported model does not run in a fresh process, or differs from the trained model.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from seqline.components.export.agreement import check_agreement
    from seqline.components.export.loops import prepare_loops
    from seqline.components.export.program import Program
    from seqline.components.export.signatures import describe
    from seqline.components.export.verify import foreign_ops, fresh_process
    from seqline.components.export.warmup import write_warmup
    from seqline.modeling.architectures import make_model
    from seqline.modeling.config import TransformerConfig

    require_gpu()
    # While saving, TensorFlow logs every input that it renames.
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trained = Checkpoint(checkpoint)
    config = trained.read_config()
    model = make_model(TransformerConfig.from_dict(config.model))
    try:
        model.load_weights(trained.weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"{trained.weights} does not fit {trained.config}: {error}; train again") from None
    manifest = Corpus(corpus).read_manifest()
    decoding = resolve(options, model.config, manifest)
    description = Description(
        fingerprint=fingerprint(trained, decoding),
        source_language=config.source_language,
        target_language=config.target_language,
        decoding=decoding,
        corpus_fingerprint=config.corpus_fingerprint,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        tensorflow=tf.__version__,
        without_prompt=manifest.without_prompt,
        chat=read_tokenizer(trained.tokenizer.read_bytes(), str(trained.tokenizer)).prompt.conversation,
    )
    # It imports TensorFlow while the graphs are traced.
    with fresh_process() as fresh:
        lexicon = make_lexicon(Corpus(corpus), model.config) if decoding.shortlist else None
        program = Program(model, trained.tokenizer, decoding, lexicon)
        signatures = program.signatures()
        texts = [pair["source"] for pair in Corpus(corpus).read_text("valid", VERIFIED_TEXTS)]
        with atomic_directory(output, ExportedModel(output).description_file.name) as folder:
            tf.saved_model.save(program, str(folder), signatures=signatures)
            prepare_loops(folder)
            log.info("wrote the SavedModel; verifying it in a fresh process")
            written = ExportedModel(folder)
            written.write_description(description)
            (folder / "signatures.md").write_text(describe(signatures, description), encoding="utf-8")
            (folder / card.FILE).write_text(
                card.write_card(description, trained, Corpus(corpus), model_card), encoding="utf-8"
            )
            write_reference(folder, Corpus(corpus), trained.tokenizer.read_bytes())
            write_warmup(folder, texts[:WARM_UP_TEXTS] or [""])
            shutil.copyfile(trained.tokenizer, folder / EXTRA / trained.tokenizer.name)
            foreign = foreign_ops(folder)
            if foreign:
                raise RuntimeError(f"the graph has ops that a model server does not provide: {', '.join(foreign)}")
            fresh.start(folder, texts)
            # Meanwhile, on another core.
            if decoding.weight_dtype == "float32":  # other types change the weights
                check_agreement(model, program, signatures["parameters"], texts[:COMPARED_TEXTS])
            outputs = signatures["serving_default"](text=tf.constant(texts, tf.string))
            expected = [output.decode() for output in outputs["text"].numpy()]
            for text, before, after in zip(texts, expected, fresh.outputs(), strict=True):
                if before != after:
                    raise RuntimeError(f"for {text!r} the reloaded model returns {after!r}, not {before!r}")
    log.info("the reloaded model returns the same outputs for %d validation texts", len(texts))
    return description


def resolve(options: DecodingOptions, config: "TransformerConfig", manifest: Manifest) -> Decoding:
    """Sets the limits that are 0 from the corpus, and caps all at the lengths that the model was trained for.

    Args:
        options: Decoding options of the exported model.
        config: The model's shape.
        manifest: The corpus's manifest.
    """
    max_tokens = int(manifest.options["max_tokens"])
    longest = max(max_tokens, SMALLEST_LIMIT)
    # With the end of the sentence. Where training truncated, serving truncates to the same tokens.
    longest_input = max_tokens + 1 if manifest.truncates_sources else max(max_tokens + 1, SMALLEST_LIMIT)
    return Decoding(
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        max_input_length=min(options.max_input_length or longest_input, config.max_length),
        max_output_length=min(options.max_output_length or longest, config.max_length),
        weight_dtype=options.weight_dtype,
        shortlist=options.shortlist and has_shortlist(config),
    )


def has_shortlist(config: "TransformerConfig") -> bool:
    """Whether a model can have a shortlist; logs why not.

    Args:
        config: The model's shape.
    """
    reasons = {
        "the source of a gpt is a part of its output": config.architecture == "gpt",
        "a pointer copies any token": config.pointer,
        "the tokenizer has several ends": bool(config.other_eos_ids),
        f"the vocabulary has fewer than {SMALLEST_VOCABULARY:,} tokens": config.vocabulary_size < SMALLEST_VOCABULARY,
    }
    for reason, applies in reasons.items():
        if applies:
            log.info("no shortlist: %s, so outputs are searched in the whole vocabulary", reason)
            return False
    return True


def fingerprint(checkpoint: Checkpoint, decoding: Decoding) -> str:
    """Hashes everything that the model's outputs depend on; a SavedModel's own bytes differ from export to export.

    Args:
        checkpoint: The trained model.
        decoding: Decoding options of the exported model.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    import h5py
    import numpy as np

    chosen = asdict(decoding)
    # Without one, the model is that of versions that had none; its tokens are those of the corpus.
    if chosen.pop("shortlist"):
        chosen["shortlist"] = checkpoint.read_config().corpus_fingerprint
    hashed = [Description.SCHEMA.version, chosen]
    digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode())
    digest.update(json.dumps(checkpoint.read_config().model, sort_keys=True).encode())
    digest.update(checkpoint.tokenizer.read_bytes())
    with h5py.File(checkpoint.weights) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in sorted(names):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(file[name][()]).tobytes())
    return digest.hexdigest()
