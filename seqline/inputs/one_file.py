"""Describes one file, local or in a bucket."""

import hashlib
from dataclasses import dataclass
from typing import Any

from seqline.errors import UserError
from seqline.inputs.storage import fsspec

PAIRS = ("data", "valid_data", "test_data", "feedback")
"""Parameters that name files of pairs."""


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


def describe_file(path: str, parameter: str = "data", empty: bool = False) -> InputFile:
    """Reads a file's size and checksum; those of an object come from the bucket without a download.

    Args:
        path: The file.
        parameter: The parameter that names it.
        empty: Whether it may be empty.

    Raises:
        UserError: The file is empty or cannot be read, or its server does not say how long it is.
    """
    system = filesystem(path)
    try:
        info: dict[str, Any] = system.info(path)
        if info["size"] is None:
            raise UserError(f"{path}: the server does not say how long the file is; download it first")
        if not info["size"] and not empty:
            pairs = "; give a file with at least one pair" if parameter in PAIRS else ""
            raise UserError(f"{parameter}: {path} is empty{pairs}")
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
        UserError: Its protocol is unknown, its library is missing, or it is chained, such as `zip://a.tsv::x.zip`.
    """
    protocol = path.partition("://")[0] if "://" in path else "file"
    if protocol != "file" and "::" in path:
        raise UserError(f"{path}: chained addresses (::) cannot be read; unpack the file, or give its own address")
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise UserError(f"{path}: paths that begin with {protocol}:// cannot be read here ({error})") from error
