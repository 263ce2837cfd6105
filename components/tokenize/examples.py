"""tf.train.Example and TFRecord as bytes, without TensorFlow, which the stage's image does not hold.

Both formats are fixed and small: an Example is a protobuf map from feature name to a packed list of varints; a
record is framed by its length and two masked CRC-32C sums.
"""

from collections.abc import Iterable, Iterator
from struct import pack

from google_crc32c import value as crc32c


class ExampleEncoder:
    """Writes pairs of piece ids as tf.train.Example messages with the int64 lists "source" and "target".

    Args:
        vocabulary_size: Ids are below it.
    """

    def __init__(self, vocabulary_size: int) -> None:
        self._varints = [_varint(number) for number in range(vocabulary_size)]

    def encode(self, source: Iterable[int], target: Iterable[int]) -> bytes:
        """One message.

        Args:
            source: Piece ids of the source.
            target: Piece ids of the target.
        """
        return _field(_feature(b"source", self._packed(source)) + _feature(b"target", self._packed(target)))

    def _packed(self, ids: Iterable[int]) -> bytes:
        varints = self._varints
        return b"".join([varints[number] for number in ids])


def tfrecords(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Frames messages as the records of a TFRecord file.

    Args:
        messages: Serialized messages.
    """
    for message in messages:
        length = pack("<Q", len(message))
        yield b"".join((length, _masked(length), message, _masked(message)))


def _masked(content: bytes) -> bytes:
    checksum = crc32c(content)
    return pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _feature(name: bytes, packed: bytes) -> bytes:
    # An entry of Features.feature (field 1): key is field 1, value field 2; Feature.int64_list is field 3 and
    # Int64List.value field 1.
    value = b"\x1a" + _sized(_field(packed))
    return _field(_field(name) + b"\x12" + _sized(value))


def _field(content: bytes) -> bytes:
    return b"\x0a" + _sized(content)


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
