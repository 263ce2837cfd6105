"""Lengths of pairs, counted: what planning needs to know of a corpus of any size."""

from dataclasses import dataclass

import numpy as np

ROWS = 1 << 18
"""Pairs that are counted together."""
TABLE = 1 << 20
"""Lengths that can occur, up to which they are counted in a table, which is faster than sorting them."""


@dataclass(frozen=True)
class Lengths:
    """The distinct lengths of pairs and how many pairs have them.

    Attributes:
        source: Source tokens, without the end.
        target: Target tokens, likewise.
        counts: Pairs.
    """

    source: np.ndarray
    target: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Lengths":
        """Counts the lengths of pairs.

        Args:
            lengths: Of source and target, `[pairs, 2]`.
        """
        total = cls(*(np.zeros(0, np.int64) for _ in range(3)))
        for first in range(0, len(lengths), ROWS):
            source, target = lengths[first : first + ROWS].astype(np.int64).T
            width = int(target.max()) + 1
            keys = source * width + target
            if (int(source.max()) + 1) * width <= TABLE:
                counts = np.bincount(keys)
                found = np.flatnonzero(counts)
                counts = counts[found]
            else:
                found, counts = np.unique(keys, return_counts=True)
            total += cls(found // width, found % width, counts)
        return total

    def __add__(self, other: "Lengths") -> "Lengths":
        """The lengths of both."""
        keys = np.concatenate([one.source << 32 | one.target for one in (self, other)])
        found, places = np.unique(keys, return_inverse=True)
        counts = np.zeros(len(found), np.int64)
        np.add.at(counts, places, np.concatenate((self.counts, other.counts)))
        return Lengths(found >> 32, found & 0xFFFFFFFF, counts)

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return int(self.counts.sum())

    @property
    def source_tokens(self) -> int:
        """Tokens of all sources."""
        return int((self.source * self.counts).sum())

    @property
    def target_tokens(self) -> int:
        """Tokens of all targets."""
        return int((self.target * self.counts).sum())

    @property
    def longest(self) -> int:
        """Tokens of the longest side."""
        return int(max(self.source.max(initial=0), self.target.max(initial=0)))

    @property
    def longest_pair(self) -> int:
        """Most tokens of both sides together."""
        return int((self.source + self.target).max(initial=0))
