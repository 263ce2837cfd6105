"""Token ids: ragged arrays, and pairs of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]


class Ragged:
    """Lists of token ids, concatenated.

    Args:
        ids: All ids, from 0 to 2**21 - 1.
        lengths: The length of each list.
    """

    def __init__(self, ids: Ids, lengths: npt.NDArray[np.int64]) -> None:
        self.ids, self.lengths = ids, lengths
        self.ends = np.cumsum(lengths)

    @classmethod
    def of(cls, lists: Sequence[Sequence[int] | Ids]) -> "Ragged":
        """Concatenates lists.

        Args:
            lists: Token ids.
        """
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        return cls(np.fromiter(chain.from_iterable(lists), np.int32, int(lengths.sum())), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: npt.NDArray[np.int64]) -> "Ragged":
        """Some of the lists.

        Args:
            rows: Their indices, in the order of the result.
        """
        return self._slices(self.ends[rows] - self.lengths[rows], self.lengths[rows])

    def truncated(self, length: int, ending: Sequence[int] = ()) -> "Ragged":
        """The starts of the lists.

        Args:
            length: Ids of a list, at most.
            ending: The last ids of each list that is truncated.
        """
        found = self._slices(self.ends - self.lengths, np.minimum(self.lengths, length))
        if ending:
            ends = found.ends[self.lengths > length]
            found.ids[ends[:, None] + np.arange(-len(ending), 0)] = ending
        return found

    def _slices(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> "Ragged":
        begins = np.cumsum(lengths) - lengths
        positions = np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))
        return Ragged(self.ids[positions], lengths)

    def followed_by(self, other: "Ragged") -> "Ragged":
        """These lists, then others.

        Args:
            other: The others.
        """
        return Ragged(np.concatenate((self.ids, other.ids)), np.concatenate((self.lengths, other.lengths)))


@dataclass
class Encoded:
    """Pairs as token ids, without begin and end.

    Attributes:
        source: One list a pair.
        target: One list a pair.
    """

    source: Ragged
    target: Ragged

    @property
    def longest(self) -> npt.NDArray[np.int64]:
        """The length of the longer side of each pair."""
        return np.maximum(self.source.lengths, self.target.lengths)

    def take(self, rows: npt.NDArray[np.int64]) -> "Encoded":
        """Some of the pairs.

        Args:
            rows: Their indices.
        """
        return Encoded(self.source.take(rows), self.target.take(rows))
