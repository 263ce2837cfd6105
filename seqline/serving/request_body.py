"""Reads the JSON of a prediction request with bounded work: it stops at the first error, and at the first limit.

A general parser builds the whole body before anything can be checked: 10 MB of `[[], [], ...` take 200 MB. This one
knows the format, `seqline.serving.contract.PredictRequest`. It decodes a string only if its length is within the limit,
and reads an element only if one more is.
"""

import asyncio
import base64
import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from seqline.serving.answers import Parameters
from seqline.serving.body_encoding import unpack
from seqline.serving.contract import DecodingParameters, PredictRequest, read_parameters
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

# Larger bodies are read in a thread. It holds no lock of the interpreter for long: each call handles one string.
INLINE_BYTES = 16_384
# A character of JSON has at most two escapes of six bytes.
LONGEST_CHARACTER = 12
LONGEST_NAME, LONGEST_NUMBER = 64, 64
BACKSLASH = ord("\\")

SPACES = re.compile(rb"[ \t\n\r]{0,65536}")
WORD = re.compile(rb"[-+.0-9A-Za-z]{1,65}")
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
LITERALS = {b"true": True, b"false": False, b"null": None}

_thread = ThreadPoolExecutor(1, "request-bodies")


@dataclass(frozen=True)
class Body:
    """The content of a request.

    Attributes:
        texts: The inputs.
        parameters: The decoding parameters that it sets.
        stream: Whether to stream the answer.
        by_column: Whether the response is in columns, like the request.
    """

    texts: list[str]
    parameters: Parameters
    stream: bool
    by_column: bool


async def read_body(content: bytes | bytearray, limits: Limits, packed: bool = False) -> Body:
    """Reads a request's body; a large one in a thread, so that the event loop answers other requests meanwhile.

    Args:
        content: JSON, with any content type.
        limits: The server's limits.
        packed: Whether it is packed with gzip; then the limit of its size holds for what it unpacks to.

    Raises:
        RequestError: See `parse_body`.
    """

    def read() -> Body:
        return parse_body(unpack(content, limits.body_bytes) if packed else content, limits)

    if len(content) <= INLINE_BYTES and not packed:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_thread, read)


def parse_body(content: bytes | bytearray, limits: Limits) -> Body:
    """Reads a request's body.

    Args:
        content: JSON.
        limits: The server's limits.

    Raises:
        RequestError: If it is not JSON, has another structure or exceeds a limit; the message names the field.
    """
    return _Parser(content, limits).body()


class _Parser:
    def __init__(self, content: bytes | bytearray, limits: Limits) -> None:
        self._content, self._limits = content, limits
        self._at = len(codecs.BOM_UTF8) * content.startswith(codecs.BOM_UTF8)
        self._characters = 0
        self._longest = LONGEST_CHARACTER * limits.text_characters

    def body(self) -> Body:
        if self._content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in self._content[:2]:
            raise _invalid("body", "is not in UTF-8 but in UTF-16 or UTF-32; send UTF-8")
        fields: dict[str, Any] = {}
        for name in self._object("", PredictRequest.model_fields):
            # Clients send null for what they leave out.
            fields[name] = None if self._null() else getattr(self, f"_{name}")()
        if self._next():
            raise self._not_json()
        fields = {name: value for name, value in fields.items() if value is not None}
        if len({"instances", "inputs"} & fields.keys()) != 1:
            raise _invalid("body", "set either instances or inputs")
        by_column = "inputs" in fields
        texts = fields["inputs" if by_column else "instances"]
        return Body(texts, fields.get("parameters", ()), fields.get("stream", False), by_column)

    def _instances(self) -> list[str]:
        return self._array("instances", self._instance)

    def _inputs(self) -> list[str]:
        if self._next() != b"{":
            return self._column("inputs")
        found: list[list[str]] = []
        for name in self._object("inputs", ("text", "b64")):
            if found:
                raise _invalid("inputs", "set either text or b64")
            found.append(self._column("inputs.text") if name == "text" else [self._base64("inputs.b64", 0)])
        if not found:
            raise _invalid("inputs.text", "Field required")
        return found[0]

    def _column(self, path: str) -> list[str]:
        """The values of the only input; one without brackets is a column of one."""
        return self._array(path, self._value) if self._next() == b"[" else [self._value(path, 0)]

    def _instance(self, path: str, index: int) -> str:
        following = self._next()
        if following == b'"':
            return self._text(path, index)
        if following != b"{":
            raise _invalid(path, "Input should be a text, or an object with text or b64")
        found: list[str] = []
        for name in self._object(path, ("text", "b64")):
            if found:
                raise _invalid(path, "set either text or b64")
            found.append((self._value if name == "text" else self._base64)(f"{path}.{name}", index))
        if not found:
            raise _invalid(f"{path}.text", "Field required")
        return found[0]

    def _value(self, path: str, index: int) -> str:
        """A text, or the object in which TensorFlow Serving's clients send bytes."""
        if self._next() != b"{":
            return self._text(path, index)
        found = [self._base64(f"{path}.{name}", index) for name in self._object(path, ("b64",))]
        if not found:
            raise _invalid(f"{path}.b64", "Field required")
        return found[0]

    def _text(self, path: str, index: int) -> str:
        return self._checked(self._string(path, self._longest), index)

    def _base64(self, path: str, index: int) -> str:
        # TensorFlow Serving takes base64 without padding and with spaces too.
        encoded = "".join(self._string(path, self._longest).split()).rstrip("=")
        try:
            text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        except UnicodeDecodeError:
            raise _invalid(path, "is base64 of bytes that are not UTF-8") from None
        except ValueError:
            hint = "; write + and / instead of - and _" if set(encoded) & set("-_") else ""
            raise _invalid(path, f"is not base64{hint}") from None
        return self._checked(text, index)

    def _checked(self, text: str, index: int) -> str:
        self._limits.check_length(index, len(text))
        self._characters += len(text)
        self._limits.check_total(self._characters)
        return text

    def _parameters(self) -> Parameters:
        names = self._object("parameters", DecodingParameters.model_fields)
        return read_parameters({name: self._scalar(f"parameters.{name}") for name in names}, "parameters.")

    def _stream(self) -> bool:
        value = self._scalar("stream")
        if not isinstance(value, bool):
            raise _invalid("stream", "Input should be a valid boolean")
        return value

    def _signature_name(self) -> str:
        name = self._string("signature_name", LONGEST_NAME)
        if name not in ("", "serving_default"):
            raise _invalid("signature_name", "Input should be 'serving_default'")
        return name

    def _null(self) -> bool:
        self._next()
        match = WORD.match(self._content, self._at)
        found = match is not None and match[0] == b"null"
        self._at += len(b"null") * found
        return found

    def _scalar(self, path: str) -> Any:
        self._next()
        match = WORD.match(self._content, self._at)
        word = match[0] if match else b""
        if word in LITERALS:
            value = LITERALS[word]
        elif NUMBER.fullmatch(word) and len(word) <= LONGEST_NUMBER:
            value = json.loads(word)
        else:
            raise _invalid(path, "Input should be a number or a boolean")
        self._at += len(word)
        return value

    def _array(self, path: str, read: Callable[[str, int], str]) -> list[str]:
        texts: list[str] = []
        if self._next() != b"[":
            raise _invalid(path, "Input should be a valid array")
        self._at += 1
        if self._skip(b"]"):
            return texts
        while True:
            self._limits.check_count(len(texts) + 1)
            texts.append(read(f"{path}.{len(texts)}", len(texts)))
            if self._skip(b"]"):
                return texts
            self._expect(b",")

    def _object(self, path: str, known: Collection[str]) -> Iterator[str]:
        """Yields the name of each field; its value must be read before the next one."""
        if self._next() != b"{":
            raise _invalid(path or "body", "Input should be an object") if self._next() else self._not_json()
        self._at += 1
        seen: set[str] = set()
        if self._skip(b"}"):
            return
        while True:
            if self._next() != b'"':
                raise self._not_json()
            name = self._string(path or "body", LONGEST_NAME)
            full = f"{path}.{name}" if path else name
            if name not in known:
                raise _invalid(full, "Extra inputs are not permitted")
            if name in seen:
                raise _invalid(full, "is set twice")
            seen.add(name)
            self._expect(b":")
            yield name
            if self._skip(b"}"):
                return
            self._expect(b",")

    def _string(self, path: str, longest: int) -> str:
        if self._next() != b'"':
            raise _invalid(path, "Input should be a valid string")
        end = self._end_of_string(longest)
        if end < 0:
            if self._at + longest + 2 >= len(self._content):
                raise self._not_json()
            raise RequestError(Cause.TOO_LARGE, f"{path}: the string is too long")
        raw = self._content[self._at : end + 1]
        try:
            text = str(json.loads(raw.decode()))
            if b"\\u" in raw:
                text.encode()  # half of a surrogate pair is not a character
        except UnicodeError:
            raise _invalid(path, "is not valid Unicode") from None
        except ValueError:
            raise self._not_json() from None
        self._at = end + 1
        return text

    def _end_of_string(self, longest: int) -> int:
        """Position of the closing quote; -1 if there is none within the limit."""
        start = self._at + 1
        bound = start + longest + 1
        end = self._content.find(b'"', start, bound)
        if end <= start or self._content[end - 1] != BACKSLASH:
            return end
        # The quote may be escaped. In Latin-1, positions of characters are those of bytes.
        part = self._content[start:bound].decode("latin-1")
        try:
            return start + scanstring(part, 0, False)[1] - 1
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated") or error.pos > len(part) - LONGEST_CHARACTER:
                return -1
            raise self._not_json() from None

    def _next(self) -> bytes | bytearray:
        """The next character that is no space; empty at the end."""
        following = self._content[self._at : self._at + 1]
        if following.isspace():
            match = SPACES.match(self._content, self._at)
            self._at = match.end() if match else self._at
            following = self._content[self._at : self._at + 1]
            if following and following in b" \t\n\r":
                raise RequestError(Cause.TOO_LARGE, "body: too many spaces in a row")
        return following

    def _skip(self, character: bytes) -> bool:
        found = self._next() == character
        self._at += found
        return found

    def _expect(self, character: bytes) -> None:
        if not self._skip(character):
            raise self._not_json()

    def _not_json(self) -> RequestError:
        return _invalid("body", f"Invalid JSON at byte {self._at}")


def _invalid(path: str, message: str) -> RequestError:
    return RequestError(Cause.INVALID, f"{path}: {message}")
