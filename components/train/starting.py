"""Starting from a checkpoint in Hugging Face's format."""

from collections.abc import Iterator
from contextlib import contextmanager

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.components.train.options import DROPPED, Options
from seqline.components.train.records import SMALLEST
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.pretrained.checkpoint import Pretrained, read_pretrained
from seqline.pretrained.fitting import fitted
from seqline.pretrained.source import find, opened
from seqline.tokenizers.checkpoint_files import has_tokenizer, is_of_folder


@contextmanager
def opened_pretrained(options: Options, warm_start: str = "") -> Iterator[Pretrained | None]:
    """Opens the checkpoint that training starts from; it is readable within the context only.

    Args:
        options: Options of training.
        warm_start: The checkpoint of an earlier training; empty for none.

    Yields:
        The checkpoint; None without one.

    Raises:
        UserError: If it cannot be read, is not supported, has changed since its fingerprint was taken, or training is
            to start from two checkpoints.
    """
    if not options.pretrained:
        yield None
        return
    if warm_start:
        raise UserError("training.pretrained and warm_start exclude each other: training starts from one checkpoint")
    found = find(options.pretrained)
    check_fingerprint(options, found.fingerprint)
    with opened(found) as folder:
        yield read_pretrained(folder)


def check_fingerprint(options: Options, fingerprint: str) -> None:
    """Checks that the files are those of the given fingerprint.

    Args:
        options: Options of training.
        fingerprint: Of the files as they are now.

    Raises:
        UserError: If they are others.
    """
    if options.pretrained_fingerprint not in ("", fingerprint):
        raise UserError(
            f"training.pretrained: the files of {options.pretrained} have the fingerprint {fingerprint}, not "
            f"{options.pretrained_fingerprint}: they were changed; run the pipeline again, or restore them"
        )


def check_vocabulary(pretrained: Pretrained, vocabulary_size: int, tokenizer: TextTokenizer) -> None:
    """Checks that a corpus was tokenized with the checkpoint's tokenizer.

    Args:
        pretrained: The checkpoint.
        vocabulary_size: Tokens in the corpus's vocabulary.
        tokenizer: The corpus's tokenizer.

    Raises:
        UserError: If it has another number of tokens, or other tokens.
    """
    size, folder = pretrained.config.vocabulary_size, str(pretrained.folder)
    if has_tokenizer(folder):
        if not is_of_folder(tokenizer, folder):
            raise UserError(
                f"training.pretrained: the corpus has another tokenizer than {folder}: its ids are other tokens; "
                "tokenize the corpus with the checkpoint's tokenizer"
            )
    elif vocabulary_size != size:
        raise UserError(
            f"training.pretrained: the corpus has a vocabulary of {vocabulary_size} tokens, but that of {folder} has "
            f"{size}: tokenize the corpus with the checkpoint's tokenizer"
        )


def pretrained_config(
    options: Options, pretrained: Pretrained, tokens: int, tokenizer: TextTokenizer | None = None
) -> TransformerConfig:
    """Makes the model's configuration: the checkpoint's, with the options that weights do not depend on.

    Args:
        options: Options of training.
        pretrained: The checkpoint.
        tokens: Longest sequence of the corpus in tokens, end of sentence included.
        tokenizer: The corpus's tokenizer; None before there is one.

    Raises:
        UserError: If the checkpoint has no positions for it.
    """
    positions = pretrained.config.max_length
    if pretrained.limited and tokens > positions:
        raise UserError(
            f"training.pretrained: the corpus has a sequence of {tokens} tokens, but {pretrained.folder} has "
            f"positions for {positions}: set corpus.max_tokens to a smaller number"
        )
    usual = SMALLEST[pretrained.config.architecture]
    max_length = max(tokens, min(usual, positions) if pretrained.limited else usual)
    dropped = {name: getattr(options, name) for name in DROPPED}
    config = fitted(pretrained.config, tokenizer, str(pretrained.folder)) if tokenizer else pretrained.config
    return config.with_values(max_length=max_length, **dropped)
