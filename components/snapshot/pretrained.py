"""Pinning a checkpoint in Hugging Face's format to its content."""

from seqline.components.tokenize.options import Options as CorpusOptions
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.inputs.files import is_folder
from seqline.paths import expanded
from seqline.pretrained.checkpoint import read_config
from seqline.pretrained.fitting import fitted
from seqline.pretrained.hub import SCHEME
from seqline.pretrained.source import find, opened
from seqline.tokenizers.checkpoint_files import PretrainedTokenizer, has_tokenizer, read_folder


def pinned(options: Options, warm_start: str = "") -> Options:
    """Completes the options of training by the checkpoint's exact address and fingerprint, which the cache key has.

    A branch or tag of the Hub becomes the commit that it is at now. The configuration is checked too: what is not
    supported fails here, before anything is tokenized.

    Args:
        options: Options of training.
        warm_start: The checkpoint of an earlier training; empty for none.

    Raises:
        UserError: If the checkpoint cannot be read, is not supported, or is not that of a given fingerprint.
    """
    if not options.pretrained:
        return options
    if warm_start:
        raise UserError("training.pretrained and warm_start exclude each other: training starts from one checkpoint")
    found = find(options.pretrained)
    if options.pretrained_fingerprint not in ("", found.fingerprint):
        raise UserError(
            f"training.pretrained: the files of {options.pretrained} have the fingerprint {found.fingerprint}, not "
            f"{options.pretrained_fingerprint}; restore them, or leave pretrained_fingerprint out"
        )
    with opened(found, weights=False) as folder:
        _, config = read_config(folder)
        if has_tokenizer(str(folder)):
            fitted(config, read_folder(str(folder)).tokenizer, options.pretrained)
    address = found.address if "://" in found.address else str(expanded(found.address).absolute())
    return options.with_values(pretrained=address, pretrained_fingerprint=found.fingerprint)


def pinned_tokenizer(corpus: CorpusOptions, given: str, training: Options) -> CorpusOptions:
    """Completes the options of the corpus by the tokenizer: with a checkpoint, the checkpoint's.

    Args:
        corpus: Options of tokenize; its tokenizer is `given`, or the checkpoint where none is given.
        given: The parameter `tokenizer`.
        training: Options of training, from `pinned`.

    Raises:
        UserError: If the tokenizer cannot be read, or is another one than the checkpoint's.
    """
    if not training.pretrained:
        return corpus.with_values(tokenizer=_commit(given)) if given else corpus
    theirs = _read(training.pretrained)
    if theirs is None:
        if not given:
            raise UserError(
                f"training.pretrained: {training.pretrained} has weights and no tokenizer; copy the tokenizer's files "
                "there too, or name the tokenizer"
            )
        return corpus.with_values(tokenizer=_commit(given))
    if given and not (_is_checkpoint(given) and _read(given) == theirs):
        raise UserError(
            f"tokenizer: {given} is not the tokenizer of training.pretrained {training.pretrained}, for whose weights "
            "its ids would be other tokens; leave tokenizer out"
        )
    return corpus.with_values(tokenizer=training.pretrained)


def _commit(tokenizer: str) -> str:
    """The address of the commit that a tokenizer on the Hub is at now; any other path as it is."""
    return find(tokenizer, "tokenizer").address if tokenizer.startswith(SCHEME) else tokenizer


def _is_checkpoint(address: str) -> bool:
    return address.startswith(SCHEME) or is_folder(address)


def _read(address: str) -> PretrainedTokenizer | None:
    if not address.startswith(SCHEME):
        folder = address if "://" in address else str(expanded(address).absolute())
        return read_folder(folder) if has_tokenizer(folder) else None
    with opened(find(address, "tokenizer"), weights=False) as local:
        return read_folder(str(local)) if has_tokenizer(str(local)) else None
