"""Pinning a checkpoint in Hugging Face's format to its content."""

from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.paths import expanded
from seqline.pretrained.checkpoint import read_config
from seqline.pretrained.source import find, opened


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
        read_config(folder)
    address = found.address if "://" in found.address else str(expanded(found.address).absolute())
    return options.with_values(pretrained=address, pretrained_fingerprint=found.fingerprint)
