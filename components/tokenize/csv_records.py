"""Where the records of a CSV file end: only a parser can say which quotes open a cell and which are inch marks."""

import csv
import io
import re
import sys
from functools import lru_cache
from importlib import import_module
from typing import Any

# Only from Python 3.11 on does re have possessive quantifiers, without which a match of megabytes takes as much memory.
_engine: Any = re if sys.version_info >= (3, 11) else import_module("regex")
_HINT = re.compile(rb'"?sep=([^"\r\n\x80-\xff])"?(?:\r\n|\n|\r|$)', re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\n|\r")
# A CR that is the last byte so far may be half of CR LF.
_END = rb"(?:\r\n|\n|\r(?=[^\n]))"
_WHOLE_LINE = _engine.compile(rb"[^\r\n]*+" + _END)


def separator_hint(start: bytes) -> tuple[str, int]:
    """Reads the first line that Excel takes for a hint, such as "sep=;".

    Args:
        start: The first bytes of the file, after a byte order mark.

    Returns:
        The delimiter, a comma without a hint; and the number of bytes of the hint's line.
    """
    hint = _HINT.match(start)
    return (hint[1].decode("ascii"), hint.end()) if hint else (",", 0)


def first_record(start: bytes, delimiter: str) -> tuple[list[str], int, int]:
    """Reads the first record of a file.

    Args:
        start: The first bytes of the file, after a hint.
        delimiter: What separates cells.

    Returns:
        Its cells, or the line as one cell if it is malformed; its number of lines and of bytes.
    """
    reader = csv.reader(io.StringIO(start.decode("utf-8", "replace"), newline=""), strict=True, delimiter=delimiter)
    try:
        cells = next(reader, [])
    except csv.Error:
        size = _end_of_line(start, 0)
        return [start[:size].decode("utf-8", "replace").rstrip("\r\n")], 1, size
    size = 0
    for _ in range(reader.line_num):
        size = _end_of_line(start, size)
    return cells, reader.line_num, size


def end_of_records(data: bytes, delimiter: str) -> int:
    """Returns the position after the last whole record; 0 if there is none.

    A quote opens a quoted cell only at a cell's beginning, as for Python's csv module, which then parses the records.
    Of a malformed record the first line alone is left out: a stray quote must not take the lines after it away.

    Args:
        data: Bytes from the beginning of a record.
        delimiter: What separates cells.
    """
    records, malformed = _patterns(delimiter)
    position = 0
    while True:
        match = records.match(data, position)
        position = match.end() if match else position
        line = _WHOLE_LINE.match(data, position)
        if not line or not malformed.match(data, position):
            return position
        position = line.end()


def count_lines(data: bytes) -> int:
    """Returns the number of line ends: LF, CR LF, or CR alone.

    Args:
        data: Whole records.
    """
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _end_of_line(data: bytes, position: int) -> int:
    end = _LINE_END.search(data, position)
    return end.end() if end else len(data)


@lru_cache(maxsize=8)
def _patterns(delimiter: str) -> tuple[Any, Any]:
    """Patterns of as many well-formed records as possible, and of a record up to a quoted cell with text after it."""
    separator = re.escape(delimiter.encode("ascii"))
    quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
    cell = rb'(?:%s|[^"\r\n%s][^\r\n%s]*+)?+' % (quoted, separator, separator)
    records = rb"(?:%s(?:%s%s)*+%s)*+" % (cell, separator, cell, _END)
    malformed = rb'(?:%s%s)*+%s(?=[^"\r\n%s])' % (cell, separator, quoted, separator)
    return _engine.compile(records), _engine.compile(malformed)
