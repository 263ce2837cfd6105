"""Where a checkpoint is: a folder, a folder in a bucket (gs://, s3://), or a model on the Hub (hf://)."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seqline.buckets import mounted
from seqline.errors import UserError
from seqline.inputs.one_file import describe_file
from seqline.inputs.storage import open_folder
from seqline.paths import expanded
from seqline.pretrained.hub import SCHEME, Hub
from seqline.pretrained.needed import needed_files
from seqline.tokenizers.checkpoint_files import CONFIG


@dataclass(frozen=True)
class Found:
    """A checkpoint as it is at this moment.

    Attributes:
        address: Its address; on the Hub with the commit as its revision.
        files: The files that are read, each with its size and checksum.
    """

    address: str
    files: dict[str, tuple[int, str]]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files' names, sizes and checksums, in hexadecimal digits."""
        content = sorted((name, *description) for name, description in self.files.items())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find(address: str, parameter: str = "training.pretrained") -> Found:
    """Finds a checkpoint and describes its files; of a bucket and of the Hub only the index of shards is downloaded.

    Args:
        address: A folder, an address such as gs://bucket/folder, or hf://ORG/NAME@REVISION.
        parameter: The parameter that names it, for messages.

    Raises:
        UserError: If it cannot be read, is incomplete, or has pickled weights only.
    """
    if address.startswith(SCHEME):
        hub = Hub(address)
        pinned, listed = hub.files()
        exact = Hub(pinned)
        # A gated model's list of files is public: a file shows whether the others can be downloaded too.
        exact.download([CONFIG] if CONFIG in listed else [])
        names = needed_files(listed, lambda name: (exact.download([name]) / name).read_text(encoding="utf-8"), address)
        return Found(pinned, {name: (listed[name].size, listed[name].checksum) for name in names})
    folder = _Folder(address, parameter)
    names = needed_files(folder.names(), folder.read, address)
    return Found(address, {name: folder.describe_file(name) for name in names})


@contextmanager
def opened(found: Found, weights: bool = True) -> Iterator[Path]:
    """Makes a checkpoint's files readable as local ones; those of a bucket that is not mounted are deleted afterwards.

    Args:
        found: From `find`.
        weights: Whether the weights are needed too.

    Yields:
        The folder.

    Raises:
        UserError: If a file cannot be downloaded, or has changed since.
    """
    files = {name: one for name, one in found.files.items() if weights or not name.endswith(".safetensors")}
    if found.address.startswith(SCHEME):
        yield Hub(found.address).download(files)
        return
    local = expanded(mounted(found.address))
    if local.is_dir():
        yield local
        return
    with tempfile.TemporaryDirectory(prefix="seqline-pretrained-") as temporary:
        system, root = open_folder(found.address)
        for name, (size, _) in files.items():
            file = Path(temporary) / name
            try:
                system.get_file(f"{root}/{name}", str(file))
            except OSError as error:
                raise UserError(f"{found.address}/{name} cannot be read: {error.strerror or error}") from error
            if file.stat().st_size != size:
                raise UserError(
                    f"{found.address}/{name} has {file.stat().st_size} bytes, not {size}: it changed in the meantime; "
                    "run again when no program writes to it"
                )
        yield Path(temporary)


class _Folder:
    """A folder, local or by fsspec.

    Args:
        address: Its path or address.
        parameter: The parameter that names it.
    """

    def __init__(self, address: str, parameter: str) -> None:
        self.address, self.parameter = address, parameter
        self.remote = "://" in address
        self.path = address.rstrip("/") if self.remote else str(expanded(address).absolute())
        try:
            self.system, self.root = open_folder(self.path)
        except (ValueError, ImportError) as error:
            raise UserError(f"{parameter}: {address} cannot be read here ({error})") from error

    def names(self) -> list[str]:
        try:
            listed = self.system.ls(self.root, detail=True, refresh=True) if self.system.isdir(self.root) else None
        except OSError as error:
            raise UserError(f"{self.parameter}: {self.address} cannot be listed: {error.strerror or error}") from error
        if listed is None:
            raise UserError(
                f"{self.parameter}: {self.address} is not a folder; give the folder of a checkpoint, its address in a "
                "bucket, or hf://ORG/NAME@REVISION"
            )
        # A link, as in the Hub's cache, counts as the file that it points to.
        return [one["name"].rpartition("/")[2] for one in listed if one["type"] != "directory"]

    def read(self, name: str) -> str:
        try:
            return str(self.system.cat_file(f"{self.root}/{name}").decode())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.address}/{name} cannot be read: {error}") from error

    def describe_file(self, name: str) -> tuple[int, str]:
        path = f"{self.path}/{name}"
        try:
            if not self.system.info(f"{self.root}/{name}")["size"]:
                raise UserError(f"{self.address}/{name} is empty; copy the checkpoint again")
        except OSError as error:
            raise UserError(f"{self.address}/{name} cannot be read: {error.strerror or error}") from error
        file = describe_file(path, self.parameter)
        return file.size, file.checksum
