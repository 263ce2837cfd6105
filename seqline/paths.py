"""Paths as users write them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Replaces a leading ~ by the home folder, which a shell does not do within a flag or a file.

    Args:
        path: A local path. One whose ~ names no user, such as `~backup.tsv`, is unchanged.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises for an unknown user)


def local(address: str) -> str:
    """Replaces a leading ~ in a path; the address of a service, such as gs://bucket/file, is unchanged.

    Args:
        address: A path or an address; empty for none.
    """
    return address if not address or "://" in address else str(expanded(address))


def absolute_address(address: str) -> str:
    """Makes a path mean the same in another folder; the address of a service, such as gs://bucket/file, is unchanged.

    Args:
        address: A path or an address.
    """
    return address if "://" in address else str(expanded(address).absolute())
