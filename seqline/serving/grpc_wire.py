"""Counts the elements of a gRPC message before it is parsed.

The parser needs memory for every element, also for an empty one: 10 MB of empty strings or messages take 100 MB. The
format of the wire: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Any

from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED = {FIXED64: 8, FIXED32: 4}
# Elements of a request beside its texts: fields, names and parameters.
OTHERS = 500


def check_size(content: bytes, message: Any, limits: Limits) -> None:
    """Checks the number of elements in a message; stops at the first one beyond the limit.

    Args:
        content: The message.
        message: Its descriptor.
        limits: The server's limits.

    Raises:
        RequestError: If it has more elements than a request within the limits, or is malformed.
    """
    most, count = limits.texts + OTHERS, 0
    pending = [(message, 0, len(content))]
    while pending:
        described, at, end = pending.pop()
        while at < end:
            tag, at = _varint(content, at, end)
            number, kind = tag >> 3, tag & 7
            length = 0
            if kind == VARINT:
                _, at = _varint(content, at, end)
            elif kind in FIXED:
                length = FIXED[kind]
            elif kind == BYTES:
                length, at = _varint(content, at, end)
            else:
                raise _malformed()
            if length > end - at:
                raise _malformed()
            field = described.fields_by_number.get(number)
            count += 1
            if kind == BYTES and field is not None:
                if field.message_type is not None:
                    pending.append((field.message_type, at, at + length))
                elif field.type not in (field.TYPE_BYTES, field.TYPE_STRING):
                    count += length  # packed numbers, each of a byte or more
            if count > most:
                raise RequestError(
                    Cause.TOO_LARGE, f"too many elements in one message; the limit is {limits.texts} texts"
                )
            at += length


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _malformed()


def _malformed() -> RequestError:
    return RequestError(Cause.INVALID, "the message cannot be read: it is malformed")
