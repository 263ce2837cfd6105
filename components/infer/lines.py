"""Reading: a line of a file in, an instance and the text to predict for out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqline.errors import UserError

SUFFIXES = (".txt", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Line:
    """What a line of the input holds.

    Attributes:
        instance: As it goes to the output: a text, a list of columns, a JSON value.
        text: What the model is asked; empty where the line is no input.
        reason: Why it is no input, a word to count by; empty where it is one.
        error: The same for a person to read.
    """

    instance: Any
    text: str = ""
    reason: str = ""
    error: str = ""


class _LineError(Exception):
    """A line is no input: a word to count by, and what is wrong."""


Parser = Callable[[str], tuple[Any, str]]


def parser_of(path: str, source_field: str) -> Parser:
    """Chooses how to read a file's lines, by its name.

    Args:
        path: The file's path; a `.gz` at its end does not count.
        source_field: Field of a JSONL object that holds the text.

    Returns:
        A function from a line's text to the instance and the text to predict for.

    Raises:
        UserError: The suffix is none of `SUFFIXES`.
    """
    name = path.removesuffix(".gz")
    if name.endswith(".txt"):
        return lambda text: (text, text)
    if name.endswith(".tsv"):
        return _tsv
    if name.endswith(".jsonl"):
        return lambda text: _jsonl(text, source_field)
    raise UserError(f"{path}: input files end in {', '.join(SUFFIXES)}, also with .gz; convert or rename it")


def read_line(line: bytes, first: bool, parse: Parser) -> Line:
    """Reads one line; nothing is raised for bad content.

    Args:
        line: Its bytes.
        first: Whether it is a file's first, where a byte order mark may be.
        parse: From `parser_of`.
    """
    try:
        whole = line.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} of the line is not UTF-8"
        return Line(line.decode("utf-8", "replace").rstrip("\r\n"), reason="not_utf8", error=what)
    try:
        if not whole.strip():
            raise _LineError("empty", "the line is empty")
        instance, text = parse(whole)
        if not text.strip():
            raise _LineError("empty", "the text is empty")
    except _LineError as fault:
        reason, what = fault.args
        return Line(whole, reason=reason, error=what)
    return Line(instance, text)


def _tsv(text: str) -> tuple[list[str], str]:
    columns = text.split("\t")
    return columns, columns[0]


def _jsonl(text: str, source_field: str) -> tuple[Any, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _LineError("not_json", f"not valid JSON ({error})") from None
    source = value
    if isinstance(value, dict):
        if source_field not in value:
            raise _LineError("missing_field", f"no field {source_field!r} (its name is set by source_field)")
        source = value[source_field]
    if not isinstance(source, str):
        where = f"field {source_field!r}" if isinstance(value, dict) else "the line"
        raise _LineError("not_text", f"{where} is not a text")
    try:
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _LineError("not_utf8", "half of a surrogate pair is not a character") from None
    return value, source
