"""Reads a line of an input file as an instance and the text to predict for."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqline.errors import UserError
from seqline.inputs.compression import COMPRESSIONS, compression_of
from seqline.inputs.fields import field_of
from seqline.inputs.lines import decode_line, is_blank

SUFFIXES = (".txt", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Line:
    """A line of the input.

    Attributes:
        instance: Its content for the output: a text, a list of columns, a JSON value.
        text: Input of the model; empty for a malformed or empty line.
        reason: Why the line has no prediction, one word to count by; empty for a valid line.
        error: The same as a message.
    """

    instance: Any
    text: str = ""
    reason: str = ""
    error: str = ""


class _LineError(Exception):
    """A malformed or empty line: the reason, one word to count by, and a message."""


Parser = Callable[[str], tuple[Any, str]]


def parser_of(path: str, source_field: str) -> Parser:
    """Chooses how to read a file's lines, by its name.

    Args:
        path: The file's path; the suffix of a compression is ignored.
        source_field: Field of a JSONL object that holds the text.

    Returns:
        A function from a line's text to the instance and the text to predict for.

    Raises:
        UserError: If the suffix is not one of `SUFFIXES`.
    """
    compression = compression_of(path)
    name = (path[: -len(compression) - 1] if compression else path).lower()
    if name.endswith(".txt"):
        return lambda text: (text, text)
    if name.endswith(".tsv"):
        return _tsv
    if name.endswith(".jsonl"):
        return lambda text: _jsonl(text, source_field)
    packed = ", ".join(f".{suffix}" for suffix in COMPRESSIONS)
    raise UserError(f"{path}: input files end in {', '.join(SUFFIXES)}, alone or with {packed}; convert or rename it")


def read_line(line: bytes, first: bool, parse: Parser) -> Line:
    """Reads one line; nothing is raised for bad content.

    Args:
        line: Its bytes.
        first: Whether it is the first of its file, which may start with a byte order mark.
        parse: A function from `parser_of`.
    """
    try:
        whole = decode_line(line, first)
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8"
        return Line(line.decode("utf-8", "replace").rstrip("\r\n"), reason="not_utf8", error=message)
    try:
        if is_blank(whole):
            raise _LineError("empty", "the line is empty")
        instance, text = parse(whole)
        if is_blank(text):
            raise _LineError("empty", "the text is empty")
    except _LineError as fault:
        reason, message = fault.args
        return Line(whole, reason=reason, error=message)
    return Line(instance, text)


def _tsv(text: str) -> tuple[list[str], str]:
    columns = text.split("\t")
    return columns, columns[0]


def _jsonl(text: str, source_field: str) -> tuple[Any, str]:
    try:
        value = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise _LineError("not_json", f"not valid JSON ({error})") from None
    source = value
    if isinstance(value, dict):
        try:
            source = field_of(value, source_field)
        except KeyError:
            raise _LineError("missing_field", f"no field {source_field!r} (set its name with source_field)") from None
    if not isinstance(source, str):
        name = f"field {source_field!r}" if isinstance(value, dict) else "the line"
        raise _LineError("not_text", f"{name} is not text")
    try:
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _LineError("not_utf8", "an unpaired surrogate is not a character") from None
    return value, source
