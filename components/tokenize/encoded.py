"""Token ids: ragged arrays, and pairs of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from seqline.components.tokenize.content import Mask, cut

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

    def packed(self) -> list[bytes]:
        """Each list as packed varints of protobuf."""
        ids = self.ids
        width = next(size for size in (1, 2, 3) if int(ids.max(initial=0)) < 1 << 7 * size)
        groups = np.empty((len(ids), width), np.uint8)
        sizes = np.ones(len(ids), np.uint8)
        used = np.ones((len(ids), width), bool)
        for group in range(width):
            more = ids >= 1 << 7 * (group + 1)
            sizes += more
            groups[:, group] = (ids >> 7 * group & 0x7F) | more.view(np.uint8) << 7
            if group + 1 < width:
                used[:, group + 1] = more
        ends = np.cumsum(sizes, dtype=np.int64)
        edges = np.concatenate(([0], ends))[np.concatenate(([0], self.ends))]
        return cut(groups[used].tobytes(), edges)


@dataclass
class Encoded:
    """Pairs as token ids, without begin and end.

    Attributes:
        source: One list a pair.
        target: One list a pair.
        augmented: Which pairs are augmented copies; None if there are none.
    """

    source: Ragged
    target: Ragged
    augmented: Mask | None = None

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
