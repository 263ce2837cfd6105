"""How the body of a request is encoded: its charset and its compression."""

import re
import zlib
from collections.abc import Mapping

from seqline.serving.request_errors import Cause, RequestError

CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}
# A gzip file may be several in a row; each costs a copy of the rest.
MEMBERS = 16


def check_encoding(headers: Mapping[str, str]) -> bool:
    """Checks the headers that say how a body is encoded.

    Args:
        headers: The request's headers; their names may have any case.

    Returns:
        Whether the body is packed with gzip.

    Raises:
        RequestError: If it is in another charset or compression.
    """
    charset = CHARSET.search(headers.get("content-type", ""))
    if charset and charset[1].lower() not in CHARSETS:
        raise RequestError(Cause.UNSUPPORTED, f"Content-Type: charset {charset[1]} is not supported; send UTF-8")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        message = f"Content-Encoding: {encoding} is not supported; send gzip, or the body as it is"
        raise RequestError(Cause.UNSUPPORTED, message)
    return "gzip" in encoding


def unpack(content: bytes | bytearray, limit: int) -> bytearray:
    """Unpacks a gzip body, and stops at the limit.

    Args:
        content: The body.
        limit: Largest number of bytes to unpack it to.

    Raises:
        RequestError: If it is not gzip, ends too early, or is larger.
    """
    found, rest = bytearray(), bytes(content)
    for _ in range(MEMBERS):
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            found += unpacker.decompress(rest, limit - len(found) + 1)
        except zlib.error:
            raise RequestError(Cause.INVALID, "body: is not gzip, which its Content-Encoding is") from None
        if len(found) > limit:
            raise RequestError(Cause.TOO_LARGE, f"the unpacked body has more than {limit} bytes")
        if not unpacker.eof:
            raise RequestError(Cause.INVALID, "body: the gzip data end too early")
        rest = unpacker.unused_data
        if not rest:
            return found
    raise RequestError(Cause.INVALID, f"body: has more than {MEMBERS} parts of gzip")
