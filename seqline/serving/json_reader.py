"""Reads JSON of a known structure with bounded work: it stops at the first error, and at the first limit.

A general parser builds the whole body before anything can be checked: 10 MB of `[[], [], ...` take 200 MB. A reader of
a known structure decodes a string only if its length is within the limit, and reads an element only if one more is.
"""

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, TypeVar

from seqline.names import nearest
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

# A character of JSON has at most two escapes of six bytes.
LONGEST_CHARACTER = 12
LONGEST_NAME, LONGEST_NUMBER = 64, 64
LONGEST_VALUE = 16_384  # bytes of a value of any structure
BACKSLASH = ord("\\")

SPACES = re.compile(rb"[ \t\n\r]{0,65536}")
WORD = re.compile(rb"[-+.0-9A-Za-z]{1,65}")
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
LITERALS = {b"true": True, b"false": False, b"null": None}

T = TypeVar("T")


class JsonReader:
    """Reads a body from its start to its end; a subclass knows the structure.

    Args:
        content: JSON.
        limits: The server's limits.
    """

    def __init__(self, content: bytes | bytearray, limits: Limits) -> None:
        self._content, self._limits = content, limits
        self._at = len(codecs.BOM_UTF8) * content.startswith(codecs.BOM_UTF8)
        self._characters = 0
        self._longest = LONGEST_CHARACTER * limits.text_characters

    def _fields(self, known: Collection[str]) -> dict[str, Any]:
        """Reads the body's object: the field `name` by the method `_name`; one that is null is absent."""
        if self._content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in self._content[:2]:
            raise invalid("body", "is not in UTF-8 but in UTF-16 or UTF-32; send UTF-8")
        fields: dict[str, Any] = {}
        for name in self._object("", known):
            # Clients send null for what they leave out.
            fields[name] = None if self._null() else getattr(self, f"_{name}")()
        if self._next():
            raise self._not_json()
        return {name: value for name, value in fields.items() if value is not None}

    def _checked(self, text: str, index: int) -> str:
        self._limits.check_length(index, len(text))
        self._characters += len(text)
        self._limits.check_total(self._characters)
        return text

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
            raise invalid(path, "Input should be a number or a boolean")
        self._at += len(word)
        return value

    def _array(self, path: str, read: Callable[[str, int], T]) -> list[T]:
        values: list[T] = []
        if self._next() != b"[":
            raise invalid(path, "Input should be a valid array")
        self._at += 1
        if self._skip(b"]"):
            return values
        while True:
            self._limits.check_count(len(values) + 1)
            values.append(read(f"{path}.{len(values)}", len(values)))
            if self._skip(b"]"):
                return values
            self._expect(b",")

    def _object(self, path: str, known: Collection[str]) -> Iterator[str]:
        """Yields the name of each field; its value must be read before the next one."""
        if self._next() != b"{":
            raise invalid(path or "body", "Input should be an object") if self._next() else self._not_json()
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
                raise invalid(full, f"is unknown; {nearest(name, known)}")
            if name in seen:
                raise invalid(full, "is set twice")
            seen.add(name)
            self._expect(b":")
            yield name
            if self._skip(b"}"):
                return
            self._expect(b",")

    def _any(self, path: str) -> Any:
        """Reads a value of any structure, which must be short."""
        self._next()
        part = bytes(self._content[self._at : self._at + LONGEST_VALUE]).decode("utf-8", "ignore")
        try:
            value, end = json.JSONDecoder().raw_decode(part)
        except RecursionError:
            raise invalid(path, "is nested too deeply") from None
        except ValueError:
            if len(self._content) - self._at > LONGEST_VALUE:
                raise RequestError(Cause.TOO_LARGE, f"{path}: is too long") from None
            raise self._not_json() from None
        self._at += len(part[:end].encode())
        return value

    def _string(self, path: str, longest: int) -> str:
        if self._next() != b'"':
            raise invalid(path, "Input should be a valid string")
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
            raise invalid(path, "is not valid Unicode") from None
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
        return invalid("body", f"Invalid JSON at byte {self._at}")


def invalid(path: str, message: str) -> RequestError:
    """Returns the error of a field.

    Args:
        path: The field's path in the body, such as `instances.0.text`.
        message: What is wrong with it.
    """
    return RequestError(Cause.INVALID, f"{path}: {message}")
