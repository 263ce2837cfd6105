"""Single records of text files: their cells, or why they are malformed."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from seqline.components.tokenize.blocks import LONGEST_RECORD, Block

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
    return (_csv if block.form == "csv" else _lines)(data, block.first)


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
        raise RowError("wrong_columns", f"{found}, not {expected} ({', '.join(names)}){header}")
    return [cells[names.index(name)] for name in fields] if block.columns else cells


def text_field(record: dict[str, Any], name: str) -> str:
    """Returns the text of a field.

    Args:
        record: The fields by name.
        name: The field.

    Raises:
        RowError: The field is missing, is no text, or cannot be written as UTF-8.
    """
    if name not in record:
        raise RowError("missing_field", f"no field {name!r} (its name is set by source_field, target_field, …)")
    text = record[name]
    if not isinstance(text, str):
        raise RowError("missing_field", f"field {name!r} is not a text")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RowError("not_utf8", f"field {name!r} holds half of a surrogate pair") from None
    return text


def _lines(data: bytes, first: int) -> Iterator[Record]:
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=first):
        yield number, *_readable(line.decode("utf-8", "surrogateescape").rstrip("\r")), None


def _csv(data: bytes, first: int) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline=""), strict=True)
    line = first
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, "", RowError("not_csv", f"not valid CSV ({error})"), None
        else:
            yield line, *_readable(",".join(cells)), cells
        line = first + reader.line_num


def _readable(text: str) -> tuple[str, RowError | None]:
    """A text decoded with "surrogateescape", and its fault if it has bytes that are not UTF-8."""
    found = None if text.isascii() else _ESCAPED.search(text)
    if not found:
        return text, None
    position = len(text[: found.start()].encode()) + 1
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return readable, RowError("not_utf8", f"byte {position} of the row is not UTF-8")


def _json_fields(text: str, fields: tuple[str, ...]) -> list[str]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError("not_json", f"not valid JSON ({error})") from None
    if not isinstance(record, dict):
        raise RowError("not_json", "not a JSON object")
    return [text_field(record, name) for name in fields]
