"""The files of a corpus on this machine, verified."""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import google_crc32c
import numpy as np

from seqline.artifacts.corpus import Corpus, Shard
from seqline.buckets import in_bucket, on_network, patiently
from seqline.components.train.pairs import LENGTH, check_size
from seqline.errors import UserError

log = logging.getLogger(__name__)

RANGE = 64 << 20
"""Bytes that are copied in one piece."""
BLOCK = 4 << 20
"""Bytes that are read at once."""
COPIES = 16
"""Pieces that are copied at the same time: a bucket answers each slowly, and many in parallel."""


@contextmanager
def local_corpus(corpus: Corpus) -> Iterator[Corpus]:
    """Yields a corpus on a disk of this machine, its token ids verified by their checksums.

    Args:
        corpus: The corpus. One in a mounted bucket or a network's file system is copied to a temporary folder, which is
            deleted at the end: training reads each part of it once an epoch.

    Raises:
        UserError: If it cannot be copied, or a file is damaged.
    """
    if not (in_bucket(corpus.path) or on_network(corpus.path)):
        verify(corpus)
        yield corpus
        return
    with tempfile.TemporaryDirectory(prefix="seqline-corpus-") as folder:
        copy = Corpus(Path(folder))
        _copy(corpus, copy.path)
        verify(copy, origin=corpus.path)
        yield copy


def verify(corpus: Corpus, origin: Path | None = None) -> None:
    """Verifies the checksums of the files that training reads.

    Args:
        corpus: The corpus.
        origin: The folder to name in messages; the corpus's own by default.

    Raises:
        UserError: If a file is damaged.
    """
    kind = corpus.read_manifest().id_type

    def check(shard: Shard) -> None:
        verify_shard(corpus.path, shard, kind, origin)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(check, _shards(corpus)))


def verify_shard(folder: Path, shard: Shard, kind: str, origin: Path | None = None) -> None:
    """Verifies sizes and checksums of a shard's two files.

    Args:
        folder: The corpus folder.
        shard: The shard.
        kind: Type of a token id in the files.
        origin: The folder to name in messages; the corpus's own by default.

    Raises:
        UserError: If a file is damaged.
    """
    tokens = shard.source_tokens + shard.target_tokens
    for name, size, checksum in (
        (shard.file, tokens * np.dtype(kind).itemsize, shard.crc32c),
        (shard.lengths_file, shard.records * 2 * LENGTH.itemsize, shard.lengths_crc32c),
    ):
        shown = (origin or folder) / name
        check_size(folder / name, size, shown)
        found = _checksum(folder / name)
        if found != checksum:
            raise UserError(
                f"{shown} is damaged: its CRC-32C is {found}, and manifest.json says "
                f"{checksum}; tokenize again, or copy the corpus again"
            )


def _shards(corpus: Corpus) -> list[Shard]:
    return [*corpus.shards("train"), *corpus.shards("valid")]


def _checksum(file: Path) -> str:
    checksum = 0
    with file.open("rb", buffering=0) as content:
        while block := content.read(BLOCK):
            checksum = google_crc32c.extend(checksum, block)
    return f"{checksum:08x}"


def _copy(corpus: Corpus, folder: Path) -> None:
    """Copies what training reads, in pieces and in parallel; the manifest last."""
    names = [corpus.tokenizer.name]
    for shard in _shards(corpus):
        names += (shard.file, shard.lengths_file)
    files = [*names, corpus.manifest.name]
    sizes = {name: patiently((corpus.path / name).stat, corpus.path / name).st_size for name in files}
    total, free = sum(sizes.values()), shutil.disk_usage(folder).free
    if total > free:
        raise UserError(
            f"the corpus {corpus.path} has {total / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free in "
            f"{folder.parent}, where training copies it; use a larger disk, or set TMPDIR to a folder of one"
        )
    log.info("copying the corpus %s, %.1f MB, to %s", corpus.path, total / 1e6, folder)
    pieces = [(name, first) for name in files for first in range(0, max(sizes[name], 1), RANGE)]
    for name in files:
        (folder / name).touch()

    def copy(piece: tuple[str, int]) -> None:
        name, first = piece
        patiently(lambda: _copy_range(corpus.path / name, folder / name, first), corpus.path / name)

    try:
        with ThreadPoolExecutor(COPIES) as pool:
            list(pool.map(copy, pieces))
    except OSError as error:
        full = " (set TMPDIR to a folder with more space)" if error.errno == errno.ENOSPC else ""
        raise UserError(f"the corpus {corpus.path} cannot be copied to {folder}: {error}{full}") from error


def _copy_range(source: Path, target: Path, first: int) -> None:
    with source.open("rb", buffering=0) as content, target.open("r+b", buffering=0) as copied:
        content.seek(first)
        copied.seek(first)
        end = first + RANGE
        while block := content.read(min(BLOCK, end - content.tell())):
            copied.write(block)
