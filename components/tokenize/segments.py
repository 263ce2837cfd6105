"""Intermediate files: Arrow record batches of pairs between the steps of the pipeline.

Columns: source, target and maybe slice; line and file, for messages; parameter, the index in `PARAMETERS` of the
parameter that names the file; and three hashes: row_hash of the exact texts, pair_hash of the texts without case,
punctuation and spacing, and source_hash of the source in that form. source_hash decides a pair's position, part and
split: sources that differ in nothing else are never in two splits.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from seqline.inputs.storage import fsspec

PARAMETERS = ("data", "valid_data", "test_data", "feedback")
OURS = ("data", "feedback")
"""The parameters whose pairs are held to the rules; validation and test files are the user's own choice of pairs."""

Hashes = npt.NDArray[np.uint64]
Segments = tuple[str, dict[int, int]]
"""A file of pairs, and the number of the record batch of each section of one part."""


def hashed(texts: list[bytes]) -> Hashes:
    """The hash of each text."""
    return np.fromiter(map(xxh3_64_intdigest, texts), np.uint64, len(texts))


def mixed(one: Hashes, other: Hashes) -> Hashes:
    """The hash of each pair of hashes."""
    both = (one ^ (other >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + other
    return (both ^ (both >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)


def open_batches(path: str) -> Any:
    """Opens a file of record batches for random access: memory-mapped, or read in ranges.

    Args:
        path: Local or a URL.
    """
    if "://" in path:
        return pa.ipc.open_file(fsspec.open(path, "rb", cache_type="none").open())
    return pa.ipc.open_file(pa.memory_map(path))


def read_tables(path: str) -> Iterator[pa.Table]:
    """Reads a file of record batches, one at a time.

    Args:
        path: Local or a URL.
    """
    reader = open_batches(path)
    for number in range(reader.num_record_batches):
        yield pa.table(reader.get_batch(number))
