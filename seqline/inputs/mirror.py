"""A folder of this machine whose files are also in a bucket that is not mounted."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqline.errors import UserError
from seqline.inputs.storage import download, list_files, open_folder


class Mirror:
    """The two folders. An object appears whole, so that no reader sees a part of a file.

    Args:
        address: The folder in the bucket, such as s3://bucket/checkpoints.
        path: The folder of this machine.

    Raises:
        UserError: If the bucket cannot be read.
    """

    def __init__(self, address: str, path: Path) -> None:
        self.address, self.path = address.rstrip("/"), path
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._files, self._root = open_folder(address)
            download(self._files, self._root, list_files(self._files, self._root), path)
        except UserError:
            raise
        except Exception as error:  # every file system has its own errors
            raise UserError(f"{address} cannot be read: {error or type(error).__name__}") from error

    def push(self, file: Path) -> None:
        """Copies a file to the bucket.

        Args:
            file: A file of the folder of this machine.

        Raises:
            OSError: If it cannot be written.
        """
        try:
            self._files.put_file(str(file), self._object(file))
        except Exception as error:
            raise OSError(f"{self.address} cannot be written: {error or type(error).__name__}") from error

    def drop(self, file: Path) -> None:
        """Deletes a file's copy in the bucket.

        Args:
            file: A file of the folder of this machine, which may not exist.

        Raises:
            OSError: If it cannot be deleted.
        """
        self._remove(self._object(file), False)

    def clear(self, folder: Path | None = None) -> None:
        """Deletes all copies, or those of a folder's files, and what other processes have written beside them.

        Args:
            folder: A folder in that of this machine, which may not exist; None for all of it.

        Raises:
            OSError: If one cannot be deleted.
        """
        self._files.invalidate_cache()
        self._remove(self._object(folder) if folder else self._root, True)

    def _object(self, file: Path) -> str:
        return f"{self._root}/{file.relative_to(self.path).as_posix()}"

    def _remove(self, path: str, recursive: bool) -> None:
        try:
            self._files.rm(path, recursive=recursive)
        except FileNotFoundError:
            pass
        except Exception as error:
            raise OSError(f"{path} cannot be deleted: {error or type(error).__name__}") from error


@contextmanager
def folder_at(where: str | Path, name: str) -> Iterator[tuple[Path, Mirror | None]]:
    """Yields a folder of this machine to work in, and its mirror if it is to be in a bucket.

    Args:
        where: A folder, or the address of one in a bucket.
        name: The folder's name in there.

    Raises:
        UserError: If the bucket cannot be read.
    """
    if "://" not in str(where):
        yield Path(where) / name, None
        return
    with tempfile.TemporaryDirectory(prefix="seqline-mirror-") as parent:
        mirror = Mirror(f"{str(where).rstrip('/')}/{name}", Path(parent) / name)
        yield mirror.path, mirror
