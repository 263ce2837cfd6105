"""Pairs of token ids: on disk, read a window at a time, or in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from seqline.artifacts.corpus import Shard
from seqline.buckets import patiently
from seqline.components.train.lengths import Lengths
from seqline.errors import UserError

WINDOW_PAIRS = 1 << 19
WINDOW_TOKENS = 1 << 25
"""Pairs, and tokens of both sides, of a window, at most about: what a training holds in memory of a corpus."""
ROWS = 1 << 13
"""Pairs that are read together."""
LENGTH = np.dtype("<u4")

Pair = tuple[np.ndarray, np.ndarray]
"""Source and target token ids, int32, without `bos` and `eos`."""


class Tokens:
    """The token ids of some rows of a window.

    Args:
        ids: The ids, row by row: of the source, then of the target.
        lengths: Lengths of all rows of the window, `[rows, 2]`.
        rows: The rows that the ids are of, ascending; None for all.
    """

    def __init__(self, ids: np.ndarray, lengths: np.ndarray, rows: np.ndarray | None = None) -> None:
        self.ids, self.lengths = ids, lengths
        sizes = lengths.sum(axis=1, dtype=np.int64)
        if rows is None:
            self.starts = np.cumsum(sizes) - sizes
        else:
            self.starts = np.zeros(len(lengths), np.int64)
            self.starts[rows] = np.cumsum(sizes[rows]) - sizes[rows]

    def of(self, rows: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids of one side of rows, concatenated, and the length of each.

        Args:
            rows: Rows that were read.
            side: 0 for the sources, 1 for the targets.
        """
        lengths = self.lengths[rows, side].astype(np.int64)
        starts = self.starts[rows] + (self.lengths[rows, 0] if side else 0)
        places = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
        return self.ids[places].astype(np.int32), lengths

    def pairs(self) -> Iterator[Pair]:
        """Yields the pairs of all rows, all of which were read: parts of one array."""
        ids = self.ids.astype(np.int32, copy=False)
        for start, left, right in zip(self.starts.tolist(), *self.lengths.T.tolist(), strict=True):
            middle = start + left
            yield ids[start:middle], ids[middle : middle + right]


class Window(ABC):
    """Some of the pairs, in the order of the corpus.

    Attributes:
        lengths: The length of each pair's source and target, `[pairs, 2]`.
    """

    lengths: np.ndarray

    @abstractmethod
    def read(self, rows: np.ndarray | None = None) -> Tokens:
        """Reads token ids.

        Args:
            rows: The rows, ascending, without repetitions; None for all.
        """


class Pairs(ABC):
    """Pairs, divided into windows."""

    table: Lengths

    @property
    @abstractmethod
    def windows(self) -> int:
        """Number of windows."""

    @abstractmethod
    def window(self, number: int) -> Window:
        """Returns a window."""

    def __len__(self) -> int:
        """Number of pairs."""
        return self.table.pairs

    def tables(self) -> Iterator[Lengths]:
        """Yields the lengths of each window's pairs."""
        if self.windows == 1:
            yield self.table  # counted already
            return
        for number in range(self.windows):
            yield Lengths.of(self.window(number).lengths)

    def listed(self) -> list[Pair]:
        """Reads all pairs into memory."""
        found: list[Pair] = []
        for number in range(self.windows):
            found += self.window(number).read().pairs()
        return found


class HeldWindow(Window):
    """Pairs in memory.

    Args:
        ids: Their token ids, as `Tokens` has them.
        lengths: Their lengths, `[pairs, 2]`.
    """

    def __init__(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        self.ids, self.lengths = ids, lengths

    def read(self, rows: np.ndarray | None = None) -> Tokens:
        """See `Window`: all are in memory."""
        return Tokens(self.ids, self.lengths)


class HeldPairs(Pairs):
    """A few pairs in memory, in one window.

    Args:
        pairs: Source and target token ids.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        lengths = np.array([(len(left), len(right)) for left, right in pairs], np.int32).reshape(-1, 2)
        sides = [np.asarray(side, np.int32) for pair in pairs for side in pair]
        self.held = HeldWindow(np.concatenate([np.zeros(0, np.int32), *sides]), lengths)
        self.table = Lengths.of(lengths)

    @property
    def windows(self) -> int:
        """One."""
        return 1

    def window(self, number: int) -> Window:
        """Returns the window."""
        return self.held


@dataclass(frozen=True)
class Stored:
    """The two files of a shard.

    Attributes:
        ids: File of the token ids: pair by pair, of the source, then of the target.
        lengths: File of the lengths: of the source and of the target of each pair, uint32.
        records: Number of pairs.
        tokens: Number of ids.
        kind: Type of an id, such as "uint16"; both files are little-endian.
    """

    ids: Path
    lengths: Path
    records: int
    tokens: int
    kind: str

    @classmethod
    def of(cls, folder: Path, shard: Shard, kind: str) -> "Stored":
        """Returns the two files of a shard of the manifest.

        Args:
            folder: The corpus folder.
            shard: The shard.
            kind: Type of an id.
        """
        tokens = shard.source_tokens + shard.target_tokens
        return cls(folder / shard.file, folder / shard.lengths_file, shard.records, tokens, kind)

    @property
    def id_type(self) -> np.dtype[Any]:
        """Type of an id in the file."""
        return np.dtype(self.kind).newbyteorder("<")

    def read_lengths(self, first: int, end: int) -> np.ndarray:
        """Reads the lengths of pairs.

        Args:
            first: The first pair.
            end: The pair behind the last.
        """
        return _read(self.lengths, LENGTH, 2 * first, 2 * (end - first)).reshape(-1, 2)


@dataclass(frozen=True)
class Segment:
    """Pairs of one shard.

    Attributes:
        shard: The shard.
        first: The first pair.
        end: The pair behind the last.
        token: Position of the first pair's first id in the file.
    """

    shard: Stored
    first: int
    end: int
    token: int = 0


class StoredWindow(Window):
    """Pairs on disk; only the lengths are in memory.

    Args:
        segments: Where they are.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments

    @cached_property
    def lengths(self) -> np.ndarray:  # type: ignore[override]
        """See `Window`."""
        found = [one.shard.read_lengths(one.first, one.end) for one in self.segments]
        return np.concatenate(found).astype(np.int32)

    def read(self, rows: np.ndarray | None = None) -> Tokens:
        """See `Window`: reads from the first of the rows to the last, and holds the ids of these rows only."""
        wanted = np.ones(len(self.lengths), bool)
        if rows is not None:
            wanted[:] = False
            wanted[rows] = True
        sizes = self.lengths.sum(axis=1, dtype=np.int64)
        ids = np.empty(int(sizes[wanted].sum()), self.segments[0].shard.id_type)
        filled = row = 0
        for segment in self.segments:
            position = segment.token
            for first in range(segment.first, segment.end, ROWS):
                end = row + min(ROWS, segment.end - first)
                chosen, each = wanted[row:end], sizes[row:end]
                places = np.flatnonzero(chosen)
                if len(places):
                    inside = np.s_[places[0] : places[-1] + 1]
                    start = position + int(each[: places[0]].sum())
                    shard = segment.shard
                    found = _read(shard.ids, shard.id_type, start, int(each[inside].sum()))
                    found = found if chosen[inside].all() else found[np.repeat(chosen[inside], each[inside])]
                    ids[filled : filled + len(found)] = found
                    filled += len(found)
                position += int(each.sum())
                row = end
        return Tokens(ids, self.lengths, rows)


class StoredPairs(Pairs):
    """Pairs on disk; what is in memory does not grow with their number.

    Args:
        shards: Their files.
        window_pairs: Pairs of a window, at most about.
        window_tokens: Tokens of a window, at most about.

    Raises:
        UserError: If a file has another size than the manifest says, or lengths that do not fit its ids.
    """

    def __init__(
        self, shards: Sequence[Stored], window_pairs: int = WINDOW_PAIRS, window_tokens: int = WINDOW_TOKENS
    ) -> None:
        self.shards = shards
        for shard in shards:
            check_size(shard.ids, shard.tokens * shard.id_type.itemsize)
            check_size(shard.lengths, shard.records * 2 * LENGTH.itemsize)
        pairs, tokens = sum(shard.records for shard in shards), sum(shard.tokens for shard in shards)
        count = max(1, -(-pairs // window_pairs), -(-tokens // window_tokens))
        edges = [pairs * number // count for number in range(count + 1)]
        self._segments = [list(_segments(shards, first, end)) for first, end in pairwise(edges)]
        self.table = Lengths.of(np.zeros((0, 2), np.int32))
        self._scan()

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self._segments)

    def window(self, number: int) -> Window:
        """Returns a window, whose pairs are not read yet."""
        return StoredWindow(self._segments[number])

    def in_windows(self, window_pairs: int) -> "StoredPairs":
        """The same pairs in smaller windows.

        Args:
            window_pairs: Pairs of a window, at most about.
        """
        return StoredPairs(self.shards, window_pairs)

    def _scan(self) -> None:
        """Counts the lengths, and finds where each segment's ids begin."""
        positions = {shard.ids: 0 for shard in self.shards}
        for segments in self._segments:
            for index, segment in enumerate(segments):
                shard = segment.shard
                segments[index] = replace(segment, token=positions[shard.ids])
                lengths = shard.read_lengths(segment.first, segment.end)
                positions[shard.ids] += int(lengths.sum(dtype=np.int64))
                self.table += Lengths.of(lengths)
        for shard in self.shards:
            if positions[shard.ids] != shard.tokens:
                raise UserError(
                    f"{shard.lengths} is damaged: its lengths add up to {positions[shard.ids]} tokens, and "
                    f"{shard.ids.name} has {shard.tokens}; tokenize again"
                )


def check_size(file: Path, expected: int, origin: Path | None = None) -> None:
    """Checks the size of a file of the corpus.

    Args:
        file: The file.
        expected: Its bytes.
        origin: The file that it is a copy of, for messages; None if it is no copy.

    Raises:
        UserError: If it has more or fewer.
    """
    try:
        size = patiently(file.stat, file).st_size
    except OSError as error:
        raise UserError(f"{origin or file} cannot be read ({error.strerror}); tokenize again") from None
    if size != expected:
        raise UserError(
            f"{origin or file} is damaged: it has {size} bytes, and manifest.json says {expected}; tokenize again, or "
            "copy the corpus again"
        )


def _segments(shards: Sequence[Stored], first: int, end: int) -> Iterator[Segment]:
    """The segments of the pairs from `first` to `end`, counted over all shards."""
    start = 0
    for shard in shards:
        inside = max(first - start, 0), min(end - start, shard.records)
        if inside[0] < inside[1]:
            yield Segment(shard, *inside)
        start += shard.records


def _read(file: Path, kind: np.dtype[Any], first: int, count: int) -> np.ndarray:
    # Not mapped: a mapped file that is cut or cannot be read ends the process without a message, and its pages count as
    # the process's memory.
    try:
        found = patiently(lambda: np.fromfile(file, kind, count, offset=first * kind.itemsize), file)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error}); the corpus must not change during training") from None
    if len(found) != count:
        raise UserError(f"{file} was truncated during training; tokenize again, and start again to continue")
    return found
