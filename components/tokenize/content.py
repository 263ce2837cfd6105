"""The bytes of a column of texts, looked at for all rows at once: regular expressions then run on few rows."""

from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]
"""One truth value a row."""

CONTROL, SPACE, SYMBOL, TAG, DIGIT, LETTER, START, CONTINUED = (1 << bit for bit in range(8))
"""Kinds of bytes: ASCII controls, the space, symbols, the symbols "<" and "&", digits, letters; for other characters
the first byte and the bytes after it."""
WIDE = START | CONTINUED


def _kinds() -> bytes:
    kinds = np.zeros(256, np.uint8)
    for code in range(128):
        char = chr(code)
        if code < 32 or code == 127:
            kinds[code] = CONTROL
        elif char == " ":
            kinds[code] = SPACE
        elif not char.isalnum():
            kinds[code] = SYMBOL | (TAG if char in "<&" else 0)
        else:
            kinds[code] = DIGIT if char.isdigit() else LETTER
    kinds[128:192] = CONTINUED
    kinds[192:] = START
    return kinds.tobytes()


_KINDS = _kinds()


class Content:
    """The bytes of a column.

    Args:
        texts: Strings without nulls.

    Attributes:
        data: All bytes, concatenated.
        edges: The position where each text begins, and where the last one ends.
    """

    def __init__(self, texts: pa.Array) -> None:
        _, offsets, data = texts.buffers()
        edges = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset) if len(texts) else np.zeros(1)
        self.edges = edges.astype(np.int64) - int(edges[0])
        self.data = np.frombuffer(data or b"", np.uint8)[int(edges[0]) : int(edges[-1])]

    def __len__(self) -> int:
        return len(self.edges) - 1

    @cached_property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """The kind of each byte."""
        return self.translated(_KINDS)

    def translated(self, table: bytes) -> npt.NDArray[np.uint8]:
        """A writable copy of the bytes, each replaced by its entry in a table.

        Args:
            table: 256 bytes.
        """
        return np.frombuffer(bytearray(self.data.tobytes().translate(table)), np.uint8)

    @cached_property
    def _kinds_of_texts(self) -> npt.NDArray[np.uint8]:
        if not len(self.data):
            return np.zeros(len(self), np.uint8)
        # The additional zero is where an empty last text begins.
        found = np.bitwise_or.reduceat(np.append(self.kinds, np.uint8(0)), self.edges[:-1])
        return np.where(np.diff(self.edges) > 0, found, 0).astype(np.uint8)

    def have(self, kinds: int) -> Mask:
        """Which texts have a byte of one of these kinds."""
        return (self._kinds_of_texts & kinds) != 0

    def count(self, kinds: int) -> npt.NDArray[np.int64]:
        """The number of bytes of these kinds in each text."""
        return np.diff(np.searchsorted(self.positions(kinds), self.edges))

    def positions(self, kinds: int) -> npt.NDArray[np.int64]:
        """The positions of all bytes of these kinds."""
        return np.flatnonzero((self.kinds & np.uint8(kinds)) != 0)

    @cached_property
    def characters(self) -> npt.NDArray[np.int64]:
        """The number of characters of each text."""
        return np.diff(self.edges) - self.count(CONTINUED)

    def rows_of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The rows of the texts that hold bytes.

        Args:
            positions: Positions of the bytes.
        """
        return np.searchsorted(self.edges, positions, "right") - 1

    @cached_property
    def badly_spaced(self) -> Mask:
        """Which texts begin or end with a space, or have two in a row."""
        space = np.append(self.data, np.uint8(0)) == ord(" ")
        bad = (space[self.edges[:-1]] | space[self.edges[1:] - 1]) & (np.diff(self.edges) > 0)
        bad[self.rows_of(np.flatnonzero(space[1:] & space[:-1]))] = True
        return bad

    def have_word_over(self, size: int) -> Mask:
        """Which texts have more than `size` bytes without a space."""
        marks = np.sort(np.concatenate((self.positions(SPACE), self.edges)), kind="stable")
        found = np.zeros(len(self), bool)
        found[self.rows_of(marks[:-1][np.diff(marks) > size])] = True
        return found

    def slices(self) -> list[bytes]:
        """The bytes of each text."""
        return cut(self.data.tobytes(), self.edges)


def cut(data: bytes, edges: npt.NDArray[np.int64]) -> list[bytes]:
    """Cuts bytes at positions.

    Args:
        data: The bytes.
        edges: Where each slice begins, and where the last one ends.
    """
    return [data[start:end] for start, end in pairwise(edges.tolist())]


def matching(texts: pa.Array, pattern: str, among: Mask) -> Mask:
    """Which texts match a regular expression of RE2.

    Args:
        texts: Strings.
        pattern: The expression.
        among: The texts to try; no other one matches.
    """
    found = np.zeros(len(texts), bool)
    rows = np.flatnonzero(among)
    if len(rows):
        some = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
        found[rows] = pc.match_substring_regex(some, pattern).to_numpy(zero_copy_only=False)
    return found
