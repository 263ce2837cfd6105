"""Compressed input files: which compressions are read, and files whose names do not say what they are."""

import bz2
import gzip
import zlib
from pathlib import PurePosixPath
from typing import Any

from seqline.errors import UserError

COMPRESSIONS = {"gz": "gzip", "zst": "Zstandard", "bz2": "bzip2"}
# What a reader raises for a file that is cut short or damaged.
DAMAGED = (EOFError, OSError, zlib.error)
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive, as Excel's .xlsx is; unpack it, or save the table as CSV in UTF-8",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it, or compress it with gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document; save the table as CSV in UTF-8",
    b"%PDF-": "a PDF document; extract its text",
}
_PACKED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2"}


def compression_of(path: str) -> str:
    """Returns the suffix that names a file's compression, one of `COMPRESSIONS`; empty if there is none.

    Args:
        path: The file.
    """
    suffix = PurePosixPath(path).suffix[1:].lower()
    return suffix if suffix in COMPRESSIONS else ""


def decompressed(file: Any, suffix: str) -> Any:
    """Returns a readable stream of a file's content, also of several compressed parts one after the other.

    Args:
        file: A binary file.
        suffix: From `compression_of`.
    """
    if suffix == "gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == "bz2":
        return bz2.BZ2File(file)
    if not suffix:
        return file
    import pyarrow as pa

    # Unlike zstandard's own reader, Arrow's reports a truncated file.
    return pa.CompressedInputStream(pa.PythonFile(file), "zstd")


def check_content(start: bytes, path: str) -> None:
    """Checks that a text file, after decompression, is not of another kind than its name says.

    Args:
        start: Its first bytes.
        path: Its name, for the message.

    Raises:
        UserError: It is compressed, an archive, a Parquet file or a document.
    """
    for magic, suffix in _PACKED.items():
        if start.startswith(magic) and not start[:64].isascii():
            raise UserError(f"{path}: the content is compressed with {COMPRESSIONS[suffix]}; add .{suffix} to its name")
    for magic, kind in _FOREIGN.items():
        if start.startswith(magic):
            raise UserError(f"{path}: the file is {kind}")
    if start.startswith(b"PAR1") and b"\x00" in start[:64]:
        raise UserError(f"{path}: the file is a Parquet file; give it a name that ends in .parquet")
