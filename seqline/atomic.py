"""Outputs that appear whole or not at all.

On a disk: write beside, flush to the disk, then rename. A rename reaches the disk before the data of the renamed file
may (ext4's delayed allocation, for one): without fsync, a power cut leaves a file of the right name and no content.

In a mounted bucket, where a folder with files cannot be renamed: build the folder on this machine's disk, copy it file
by file, the manifest last. A folder without its manifest is not complete, and readers refuse it.
"""

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from seqline.buckets import files_below, in_bucket, patiently, upload

# renameat2(2): two paths change places in one step.
AT_FDCWD, RENAME_EXCHANGE = -100, 2
# The kernel or the file system has no such exchange.
NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
# The file system has no hard links, such as a mounted bucket.
NO_LINK = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}


@contextmanager
def atomic_directory(path: str | Path, manifest: str) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` when the block ends well.

    An error inside the block leaves what was at `path` untouched and removes the unfinished folder. On a disk, what was
    at `path` before is replaced without a moment in which nothing is there, where the file system can exchange two
    names. In a mounted bucket it is deleted, its manifest first, and then the files are copied, the manifest last: a
    process that is killed meanwhile leaves a folder without manifest.

    Args:
        path: Where the finished folder is to appear.
        manifest: The file in it that readers read first; the block must write it.
    """
    path = Path(path)
    remote = in_bucket(path)
    if not remote:
        path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=None if remote else path.parent))
    unfinished.chmod(0o755)
    try:
        yield unfinished
        if not (unfinished / manifest).is_file():
            raise RuntimeError(f"{path} has no {manifest}, by which its readers know that it is complete")
        if remote:
            _replace_in_bucket(path, unfinished, manifest)
        else:
            _replace(path, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def atomic_write(path: str | Path, text: str) -> None:
    """Writes a UTF-8 text file in one step: readers see the old text or the new, never a part.

    Args:
        path: The file; missing parent folders are made.
        text: Its whole content.
    """
    path = Path(path)
    # A bucket renames a file by a copy, which appears as a whole, and a deletion; either may fail once.
    patiently(lambda: _write_beside_and_rename(path, text), path)


def atomic_create(path: str | Path, text: str) -> bool:
    """Writes a UTF-8 text file in one step, unless it exists: of several processes that try, one succeeds.

    Args:
        path: The file; missing parent folders are made.
        text: Its whole content.

    Returns:
        Whether it was written.
    """
    path = Path(path)
    with _written_beside(path, text) as unfinished:
        try:
            os.link(unfinished, path)  # unlike a rename, it replaces nothing
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            if path.exists():
                return False
            unfinished.replace(path)
        flush(path.parent)
    return True


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


def _write_beside_and_rename(path: Path, text: str) -> None:
    with _written_beside(path, text) as unfinished:
        unfinished.replace(path)
        flush(path.parent)


@contextmanager
def _written_beside(path: Path, text: str) -> Iterator[Path]:
    """Yields a complete file beside the path, which is deleted if it is still there afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).chmod(0o644)
        yield Path(unfinished)
    finally:
        with suppress(OSError):  # it was renamed, or the first error says more
            Path(unfinished).unlink()


def _replace(path: Path, unfinished: Path) -> None:
    _flush_tree(unfinished)
    if not path.exists():
        unfinished.rename(path)
    elif not _exchange(unfinished, path):
        replaced = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
        path.rename(replaced / path.name)
        unfinished.rename(path)
        shutil.rmtree(replaced)
    flush(path.parent)


def _replace_in_bucket(path: Path, unfinished: Path, manifest: str) -> None:
    # First the manifest: what is left of the folder is refused from now on.
    for file in (path / manifest, *files_below(path)):
        patiently(partial(file.unlink, missing_ok=True), file)
    for file in files_below(unfinished):
        if file != unfinished / manifest:
            upload(file, path / file.relative_to(unfinished))
    # By renaming: a copy that is killed would leave a part under the manifest's name.
    beside = path / f".{manifest}.unfinished"
    upload(unfinished / manifest, beside)
    patiently(lambda: beside.replace(path / manifest), path)


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
