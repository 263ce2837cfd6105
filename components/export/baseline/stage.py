"""Entry of baseline."""

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from seqline.components.export.options import DecodingOptions, ModelCardOptions
from seqline.errors import UserError

log = logging.getLogger(__name__)


def baseline(
    pretrained: str,
    fingerprint: str,
    corpus: Path,
    output: Path,
    options: DecodingOptions = DecodingOptions(),  # noqa: B008 (frozen)
    model_card: ModelCardOptions = ModelCardOptions(),  # noqa: B008 (frozen)
) -> None:
    """Exports a checkpoint in Hugging Face's format without training it, with the corpus's tokenizer and prompt.

    Args:
        pretrained: Its address; empty for none, and then a note is written.
        fingerprint: The fingerprint of its files.
        corpus: The corpus folder that tokenize wrote.
        output: The model folder to write.
        options: Decoding options of the exported model.
        model_card: Licences and intended use, for the model's card.

    Raises:
        UserError: If the checkpoint cannot be read or was changed.
    """
    if not pretrained:
        log.info("training starts from random weights: there is no baseline")
        output.mkdir(parents=True, exist_ok=True)
        # An object store has no empty folders.
        (output / "none.txt").write_text("Training starts from random weights: there is no baseline.\n")
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqline.artifacts.corpus import Corpus
    from seqline.artifacts.text_tokenizer import tokenizer_file
    from seqline.components.export.stage import export
    from seqline.pretrained.checkpoint import read_pretrained
    from seqline.pretrained.fitting import fitted
    from seqline.pretrained.loading import build_model, write_checkpoint
    from seqline.pretrained.source import find, opened
    from seqline.tokenizers.host import read_tokenizer

    found = find(pretrained)
    if found.fingerprint != fingerprint:
        raise UserError(f"training.pretrained: the files of {pretrained} were changed; run the pipeline again")
    manifest, tokenizer = Corpus(corpus).read_manifest(), tokenizer_file(corpus)
    with tempfile.TemporaryDirectory(prefix="seqline-baseline-") as temporary:
        checkpoint = Path(temporary) / "checkpoint"
        with opened(found) as folder:
            read = read_pretrained(folder)
            config = fitted(read.config, read_tokenizer(tokenizer.read_bytes(), str(tokenizer)), pretrained)
            model = build_model(replace(read, config=config))
            write_checkpoint(model, checkpoint, tokenizer, manifest.source_language, manifest.target_language)
        export(checkpoint, corpus, output, options, model_card)
