"""tf.train.Example and TFRecord as bytes, without TensorFlow, which the stage's image does not have.

Both formats are fixed and small: an Example is a protobuf map from feature names to packed lists of varints; a
record is framed by its length and two masked CRC-32C checksums.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat
from struct import pack

from google_crc32c import value as crc32c

from seqline.components.tokenize.content import Mask
from seqline.components.tokenize.encoded import Ragged


def tfrecords(source: Ragged, target: Ragged, augmented: Mask | None = None) -> Iterator[bytes]:
    """Pairs as the records of a TFRecord file: tf.train.Example with the int64 lists "source" and "target".

    Args:
        source: Token ids of the sources.
        target: Token ids of the targets.
        augmented: The pairs that get the int64 list "augmented": [1].

    Yields:
        One record a pair.
    """
    # _feature_of returns what precedes the packed ids.
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
    """The bytes of an entry of Features.feature (field 1) that precede its `length` bytes of packed ids."""
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
