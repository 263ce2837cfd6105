"""Describes one file, local or in a bucket."""

import hashlib
from dataclasses import dataclass
from typing import Any

from seqline.errors import UserError
from seqline.inputs.storage import fsspec


@dataclass(frozen=True)
class InputFile:
    """One input file.

    Attributes:
        path: Absolute path or URL; for a query, its text.
        size: Bytes; for a query, rows.
        checksum: "sha256:", "md5:" or "crc32c:" and the digest of the content; "etag:" and what S3 calls its content,
            which depends on the sizes of the parts that it was uploaded in; for a query, "bigquery:" and the digest of
            its rows.
        generation: Cloud Storage generation of the object, or its version on S3; empty elsewhere.
        parameter: The parameter that names it, such as "data" or "tokenizer".
    """

    path: str
    size: int
    checksum: str
    generation: str = ""
    parameter: str = "data"


def describe_file(path: str, parameter: str = "data") -> InputFile:
    """Reads a file's size and checksum; those of an object come from the bucket without a download.

    Args:
        path: The file.
        parameter: The parameter that names it.

    Raises:
        UserError: The file is empty or cannot be read.
    """
    system = filesystem(path)
    try:
        info: dict[str, Any] = system.info(path)
        if not info["size"]:
            raise UserError(f"{path} is empty; give a file with at least one pair")
        for kind, name in (("md5", "md5Hash"), ("crc32c", "crc32c"), ("etag", "ETag")):
            if value := str(info.get(name) or "").strip('"'):
                generation = str(info.get("generation") or info.get("VersionId") or "")
                return InputFile(path, info["size"], f"{kind}:{value}", generation, parameter)
        digest = hashlib.sha256()
        with system.open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except UserError:
        raise
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{path} cannot be read: {reason(error)}") from error
    return InputFile(path, info["size"], f"sha256:{digest.hexdigest()}", parameter=parameter)


def reason(error: Exception) -> str:
    """Returns what an error of a file system says, in a few words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def filesystem(path: str) -> Any:
    """Returns the file system of a path.

    Raises:
        UserError: Its protocol is unknown, or its library is missing.
    """
    protocol = path.partition("://")[0] if "://" in path else "file"
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise UserError(f"{path}: paths that begin with {protocol}:// cannot be read here ({error})") from error
