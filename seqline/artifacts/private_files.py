"""Files and folders that their owner alone reads, such as those of samples and of feedback."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from seqline.atomic import flush
from seqline.buckets import in_bucket, patiently, upload
from seqline.paths import expanded


def prepare(folder: str) -> None:
    """Makes a local folder if it is missing; a bucket needs none.

    Args:
        folder: The folder's path or address.
    """
    if "://" not in folder:
        make_private(expanded(folder))


def make_private(folder: Path) -> None:
    """Makes a folder that its owner alone reads; one that exists keeps its mode.

    Args:
        folder: The folder.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that its owner alone reads, and that appears whole.

    A mounted bucket gets a copy of a file of this machine.

    Args:
        path: The file; its folder must be there.
        content: Its content.

    Raises:
        OSError: If it cannot be written.
    """
    remote = in_bucket(path)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=None if remote else path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if remote:
            beside = path.with_name(f".{path.name}")
            upload(Path(unfinished), beside)
            patiently(lambda: beside.replace(path), path)
        else:
            Path(unfinished).replace(path)
            flush(path.parent)
    finally:
        with suppress(FileNotFoundError):
            Path(unfinished).unlink()
