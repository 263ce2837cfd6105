"""Single records of text files: their cells, or why they are malformed."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from seqline.components.tokenize.blocks import LONGEST_RECORD, Block
from seqline.inputs.fields import field_of

csv.field_size_limit(LONGEST_RECORD)
_ESCAPED = re.compile("[\udc80-\udcff]")


class RowError(Exception):
    """A row is malformed: a short reason, and a description of the fault."""


Record = tuple[int, str, RowError | None, list[str] | None]
"""First line of a record, its text, its fault, and its cells if they are already split."""


def read_records(data: bytes, block: Block) -> Iterator[Record]:
    """Splits the bytes of a block into records.

    Args:
        data: The bytes.
        block: The block.
    """
    return _csv(data, block.first, block.delimiter) if block.form == "csv" else _lines(data, block.first)


def fields_of(text: str, cells: list[str] | None, block: Block, fields: tuple[str, ...]) -> list[str]:
    """Picks the texts of the fields that are read.

    Args:
        text: A record's text.
        cells: Its cells if they are already split.
        block: The block that it belongs to.
        fields: Names of the fields.

    Raises:
        RowError: The record does not have these fields, or has other columns.
    """
    if block.form == "jsonl":
        return _json_fields(text, fields)
    cells = text.split("\t") if cells is None else cells
    names = block.columns or fields
    if len(cells) != len(names):
        found = "one column" if len(cells) == 1 else f"{len(cells)} columns"
        expected = {2: "two"}.get(len(names), str(len(names)))
        header = "" if block.columns else "; other columns need a header line that names them"
        other = _separator(cells[0], len(names)) if len(cells) == 1 and block.form == "csv" else ""
        hint = f"; are the cells separated by {other!r}? Then put the line sep={other} first" if other else header
        raise RowError("wrong_columns", f"{found}, not {expected} ({', '.join(names)}){hint}")
    return [cells[names.index(name)] for name in fields] if block.columns else cells


def text_field(record: dict[str, Any], name: str) -> str:
    """Returns the text of a field.

    Args:
        record: The fields by name.
        name: The field.

    Raises:
        RowError: The field is missing, is not text, or cannot be written as UTF-8.
    """
    try:
        text = field_of(record, name)
    except KeyError:
        fault = f"no field {name!r} (its name is set by source_field, target_field, …)"
        raise RowError("missing_field", fault) from None
    if text is _TWICE:
        raise RowError("repeated_field", f"field {name!r} is set twice")
    if not isinstance(text, str):
        raise RowError("missing_field", f"field {name!r} is {'null' if text is None else 'not a text'}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RowError("not_utf8", f"field {name!r} holds half of a surrogate pair") from None
    return text


def _lines(data: bytes, first: int) -> Iterator[Record]:
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=first):
        yield number, *_readable(line.decode("utf-8", "surrogateescape").rstrip("\r")), None


def _csv(data: bytes, first: int, delimiter: str) -> Iterator[Record]:
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    reader = csv.reader(text, strict=True, delimiter=delimiter)
    line = first
    while True:
        start, before = text.tell(), reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Of a malformed record the first line alone is left out, as in `end_of_records`.
            text.seek(start)
            whole, _ = _readable(text.readline().rstrip("\r\n"))
            yield line, whole, RowError("not_csv", _csv_fault(str(error), reader.line_num - before)), None
            line += 1
        else:
            yield line, *_readable(delimiter.join(cells)), cells
            line += reader.line_num - before


def _csv_fault(error: str, lines: int) -> str:
    span = f" of {lines} lines" if lines > 1 else ""
    if error == "unexpected end of data":
        cause = f"a quote opens a cell{span} and is never closed"
    elif "expected after" in error:
        cause = f"text follows the quote that closes a cell{span}"
    else:
        return f"not valid CSV ({error})"
    return f'not valid CSV: {cause}; write a quote of the text twice, in a cell in quotes: "5"" nails"'


def _separator(cell: str, columns: int) -> str:
    """What else may separate the cells of a row; empty if nothing does."""
    return next((other for other in ";\t|" if cell.count(other) == columns - 1 > 0), "")


def _readable(text: str) -> tuple[str, RowError | None]:
    """A text decoded with "surrogateescape", and its fault if it has bytes that are not UTF-8."""
    found = None if text.isascii() else _ESCAPED.search(text)
    if not found:
        return text, None
    position = len(text[: found.start()].encode()) + 1
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return readable, RowError("not_utf8", f"byte {position} of the row is not UTF-8; save the file as UTF-8")


def _json_fields(text: str, fields: tuple[str, ...]) -> list[str]:
    text = text.lstrip("\ufeff")
    try:
        record = _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise RowError("not_json", f"not valid JSON ({error}){_WHOLE if text.strip() in ('[', '{') else ''}") from None
    if not isinstance(record, dict):
        whole = _WHOLE if isinstance(record, list) else ""
        raise RowError("not_json", f"not a JSON object{whole}")
    return [text_field(record, name) for name in fields]


_WHOLE = "; JSON Lines has a whole object on each line, as `jq -c .[]` writes an array"
_TWICE = object()
"""The value of a field that an object has twice: the two may differ."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        record.update((name, _TWICE) for name, count in counts.items() if count > 1)
    return record


_decoder = json.JSONDecoder(object_pairs_hook=_object)
