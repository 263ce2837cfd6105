"""tf.train.Example and TFRecord as bytes, without TensorFlow, which the stage's image does not hold.

Both formats are fixed and small: an Example is a protobuf map from feature name to a packed list of varints; a
record is framed by its length and two masked CRC-32C sums.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise, repeat
from struct import pack

import numpy as np
import numpy.typing as npt
from google_crc32c import value as crc32c

Ids = npt.NDArray[np.int32]


class Ragged:
    """Lists of piece ids, end to end.

    Args:
        ids: All of them, from 0 to 2**21 - 1.
        lengths: How many each list has.
    """

    def __init__(self, ids: Ids, lengths: npt.NDArray[np.int64]) -> None:
        self.ids, self.lengths = ids, lengths
        self.ends = np.cumsum(lengths)

    @classmethod
    def of(cls, lists: Sequence[Sequence[int] | Ids]) -> "Ragged":
        """From lists of their own.

        Args:
            lists: Piece ids.
        """
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        return cls(np.fromiter(chain.from_iterable(lists), np.int32, int(lengths.sum())), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: npt.NDArray[np.int64]) -> "Ragged":
        """Some of the lists.

        Args:
            rows: Which, in what order.
        """
        lengths = self.lengths[rows]
        starts, begins = self.ends[rows] - lengths, np.cumsum(lengths) - lengths
        places = np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))
        return Ragged(self.ids[places], lengths)

    def followed_by(self, other: "Ragged") -> "Ragged":
        """These lists and others behind them.

        Args:
            other: The others.
        """
        return Ragged(np.concatenate((self.ids, other.ids)), np.concatenate((self.lengths, other.lengths)))

    def packed(self) -> list[bytes]:
        """Each list as protobuf's packed varints."""
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
        content = groups[used].tobytes()
        edges = np.concatenate(([0], ends))[np.concatenate(([0], self.ends))].tolist()
        return [content[start:end] for start, end in pairwise(edges)]


def tfrecords(source: Ragged, target: Ragged, augmented: npt.NDArray[np.bool_] | None = None) -> Iterator[bytes]:
    """Pairs as the records of a TFRecord file: tf.train.Example with the int64 lists "source" and "target".

    Args:
        source: Piece ids of the sources.
        target: Piece ids of the targets, as many.
        augmented: Which of them to mark with the int64 list "augmented": [1].
    """
    # _feature_of ends where the packed ids go.
    marks = (b"", _field(_feature_of(b"augmented", 1) + b"\x01"))
    marked = repeat(False) if augmented is None else augmented.tolist()
    for one, other, mark in zip(source.packed(), target.packed(), marked, strict=augmented is not None):
        features = _entry(b"source", len(one)) + one + _entry(b"target", len(other)) + other + marks[mark]
        message = b"\x0a" + _varint(len(features)) + features
        yield _frame(len(message)) + message + _masked(message)


@lru_cache(maxsize=1 << 16)
def _frame(length: int) -> bytes:
    framed = pack("<Q", length)
    return framed + _masked(framed)


def _masked(content: bytes) -> bytes:
    checksum = crc32c(content)
    return pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@lru_cache(maxsize=1 << 16)
def _entry(name: bytes, length: int) -> bytes:
    """All of an entry of Features.feature (field 1) before its `length` bytes of packed ids."""
    inner = _feature_of(name, length)
    return b"\x0a" + _varint(len(inner) + length) + inner


def _feature_of(name: bytes, length: int) -> bytes:
    # An entry's key is field 1, its value field 2; Feature.int64_list is field 3 and Int64List.value field 1.
    packed = b"\x0a" + _varint(length)
    value = b"\x1a" + _varint(len(packed) + length) + packed
    return b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(len(value) + length) + value


def _field(content: bytes) -> bytes:
    return b"\x0a" + _varint(len(content)) + content


@lru_cache(maxsize=1 << 16)
def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
