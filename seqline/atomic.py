"""Outputs that appear whole or not at all: write beside, flush to the disk, then rename.

A rename reaches the disk before the data of the renamed file may (ext4's delayed allocation, for one): without fsync, a
power cut leaves a file of the right name and no content.
"""

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# renameat2(2): two paths change places in one step.
AT_FDCWD, RENAME_EXCHANGE = -100, 2
# The kernel or the file system has no such exchange.
NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` when the block ends well.

    An error inside the block leaves what was at `path` untouched and removes the unfinished folder. What was at `path`
    before is replaced without a moment in which nothing is there, where the file system can exchange two names.

    Args:
        path: Where the finished folder is to appear.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    unfinished.chmod(0o755)
    try:
        yield unfinished
        _flush_tree(unfinished)
        if not path.exists():
            unfinished.rename(path)
        elif not _exchange(unfinished, path):
            replaced = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            path.rename(replaced / path.name)
            unfinished.rename(path)
            shutil.rmtree(replaced)
        flush(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def atomic_write(path: str | Path, text: str) -> None:
    """Writes a UTF-8 text file in one step: readers see the old text or the new, never a part.

    Args:
        path: The file; missing parent folders are made.
        text: Its whole content.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
        flush(path.parent)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Writes a file's content, or a folder's list of names, to the disk.

    Args:
        path: A file or a folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems (FUSE, for one) flush no folders.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def _flush_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            if not (Path(parent) / name).is_symlink():
                flush(Path(parent) / name)
        flush(Path(parent))


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two paths in one step; False where that is not possible."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, TypeError, OSError):  # not Linux, or a C library without it
        return False
    if rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))
