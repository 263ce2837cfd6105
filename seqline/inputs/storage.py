"""Files and folders at addresses: in a bucket by fsspec, or on this machine.

Whatever opens an address imports fsspec from here, where it learns of our protocols.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec as fsspec
import fsspec.core

from seqline.errors import UserError
from seqline.paths import expanded

# Otherwise gcsfs first requests each bucket's type over gRPC, which takes a minute where gRPC is blocked.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
for _protocol, _name in (("s3", "S3"), ("minio", "Minio")):
    fsspec.register_implementation(
        _protocol, f"seqline.inputs.s3.{_name}", clobber=True, errtxt="install s3fs to read it"
    )

# What tells a changed file of equal size: of a bucket, or of a folder.
TIMES = ("md5Hash", "generation", "ETag", "mtime")

Listing = Mapping[str, Mapping[str, Any]]


def open_folder(address: str) -> tuple[Any, str]:
    """Returns the file system of a folder, of fsspec, and the folder's path there.

    Args:
        address: A path or a URL such as gs://, s3:// or minio://.
    """
    files, root = fsspec.core.url_to_fs(address.rstrip("/"))
    return files, root


def list_files(files: Any, root: str) -> Listing:
    """Returns all files below a folder with what the file system says about each, as it is now.

    Args:
        files: A file system of fsspec.
        root: The folder's path there.
    """
    files.invalidate_cache()
    found: Listing = files.find(root, detail=True)
    return found


def digest_of(found: Listing, root: str) -> str:
    """Returns a digest of files' names, sizes and times: other files have another.

    Args:
        found: From `list_files`.
        root: The folder's path.
    """
    listed = sorted(
        (path.removeprefix(root), one.get("size"), *(str(one.get(key)) for key in TIMES)) for path, one in found.items()
    )
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


@contextmanager
def local_copy(address: str, digest: str = "") -> Iterator[Path]:
    """Yields a folder on this machine: itself, or a copy of one in a bucket, which is deleted at the end.

    Args:
        address: A path, which may not exist, or a URL such as gs:// or s3://.
        digest: Of the files as they were looked up; empty if they were not.

    Raises:
        UserError: If the files in a bucket cannot be read, are others than those, or change meanwhile.
    """
    if "://" not in address:
        yield expanded(address)
        return
    with tempfile.TemporaryDirectory(prefix="seqline-copy-") as folder:
        try:
            files, root = open_folder(address)
            found = list_files(files, root)
            download(files, root, found, Path(folder))
            after = list_files(files, root)
        except UserError:
            raise
        except Exception as error:  # every file system has its own errors
            raise UserError(f"its files cannot be read: {address}: {error or type(error).__name__}") from error
        if not found:
            raise UserError(f"its files are missing: {address}")
        read = digest_of(found, root)
        if digest_of(after, root) != read or digest not in ("", read):
            raise UserError(f"its files changed in the meantime: {address}; run again when no program writes to them")
        yield Path(folder)


def download(files: Any, root: str, found: Listing, folder: Path) -> None:
    """Copies files, and checks that each is whole.

    Args:
        files: A file system of fsspec.
        root: The folder's path there.
        found: What to copy, from `list_files`.
        folder: The folder to write to.

    Raises:
        UserError: If a file's name leads out of the folder, or it was read in part.
    """
    targets = {path: folder / path.removeprefix(root).lstrip("/") for path in found}
    for path, target in targets.items():
        if ".." in path.split("/"):
            raise UserError(f"the name {path!r} leads out of its folder; rename the object")
        target.parent.mkdir(parents=True, exist_ok=True)
    if targets:
        files.get(list(targets), [str(target) for target in targets.values()])
    for path, target in targets.items():
        size = target.stat().st_size
        if size != found[path]["size"]:
            raise UserError(f"{path} was read in part: {size} of {found[path]['size']} bytes; run again")
