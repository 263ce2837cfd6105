"""Compressed input files."""

import bz2
import gzip
from typing import Any

import pyarrow as pa


def decompressed(file: Any, compression: str | None) -> Any:
    """A readable stream of a file's content.

    Args:
        file: A binary file.
        compression: From `form_of`.
    """
    if compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    if compression == "bz2":
        return bz2.BZ2File(file)
    # Unlike zstandard's own reader, Arrow's reports a truncated file.
    return pa.CompressedInputStream(pa.PythonFile(file), "zstd") if compression else file
