"""Parsing: the records of a block to columns of texts; what is no record is counted with its place and fault."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqline.components.tokenize.inputs import LONGEST_RECORD, Block
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.tally import Malformed, Tally

csv.field_size_limit(LONGEST_RECORD)
_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass
class Rows:
    """The records of a block.

    Attributes:
        columns: The texts of each of `Options.fields`.
        lines: The line of each, from 1.
    """

    columns: list[pa.Array]
    lines: list[int] | range


class RowError(Exception):
    """A row is no record: a short reason, and what is wrong."""


def parse(block: Block, path: str, options: Options, tally: Tally) -> Rows:
    """Reads a block.

    Args:
        block: The block.
        path: The file it is of, for messages.
        options: The stage's options.
        tally: Counts what is read and what is malformed.

    Raises:
        OSError: The bytes cannot be read.
    """
    if block.form == "parquet":
        return _parquet(block, path, options, tally)
    data = block.read()
    if block.form == "tsv" and (rows := _plain_tsv(data, block, options)):
        tally.read += len(rows.lines)
        return rows
    columns: list[list[str]] = [[] for _ in options.fields]
    lines: list[int] = []
    for line, text, fault, cells in (_csv if block.form == "csv" else _lines)(data, block.first):
        tally.read += 1
        try:
            if fault:
                raise fault
            if not text.strip():
                # A blank line is nothing lost: files end in them.
                texts = [""] * len(columns)
            elif block.form == "jsonl":
                texts = _jsonl(text, options.fields)
            else:
                texts = _named(text.split("\t") if cells is None else cells, block, options)
        except RowError as error:
            malformed(tally, path, line, error, text)
            continue
        lines.append(line)
        for column, cell in zip(columns, texts, strict=True):
            column.append(cell)
    return Rows([pa.array(column, pa.string()) for column in columns], lines)


def malformed(tally: Tally, path: str, line: int, fault: RowError, text: str) -> None:
    """Counts a row that is no record."""
    reason, what = fault.args
    tally.malformed += 1
    first = Malformed(path, line, what)
    tally.first_malformed = min(tally.first_malformed or first, first)
    tally.reject(reason, text, where=f"{path}, line {line}")


def _plain_tsv(data: bytes, block: Block, options: Options) -> Rows | None:
    """All rows at once, where every one has the right number of columns; else None."""
    names = block.columns or options.fields
    width = len(names)
    if not data.endswith(b"\n"):
        data += b"\n"
    raw = np.frombuffer(data, np.uint8)
    ends = (raw - 9) < 2
    places = np.flatnonzero(ends)
    line_ends = raw[places] == ord("\n")
    # As many tabs as there should be, and where they should be?
    if len(places) % width or not line_ends[width - 1 :: width].all() or line_ends.sum() * width != len(places):
        return None
    offsets = np.zeros(len(places) + 1, np.int32)
    offsets[1:] = places - np.arange(len(places))
    content = raw[~ends].tobytes()
    cells = pa.StringArray.from_buffers(len(places), pa.py_buffer(offsets), pa.py_buffer(content))
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        return None
    numbers = np.arange(len(places), dtype=np.int32)
    columns = [cells.take(pa.array(numbers[names.index(name) :: width])) for name in options.fields]
    return Rows(columns, range(block.first, block.first + len(places) // width))


_Record = tuple[int, str, RowError | None, list[str] | None]
"""Its first line, its text, its fault, and its cells where they are known."""


def _lines(data: bytes, first: int) -> Iterator[_Record]:
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=first):
        yield number, *_readable(line.decode("utf-8", "surrogateescape").rstrip("\r")), None


def _csv(data: bytes, first: int) -> Iterator[_Record]:
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
    """A text decoded with "surrogateescape", and its fault if it had bytes that are not UTF-8."""
    found = None if text.isascii() else _ESCAPED.search(text)
    if not found:
        return text, None
    place = len(text[: found.start()].encode()) + 1
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return readable, RowError("not_utf8", f"byte {place} of the row is not UTF-8")


def _named(cells: list[str], block: Block, options: Options) -> list[str]:
    """The cells of the fields that are read."""
    names = block.columns or options.fields
    if len(cells) != len(names):
        found = "one column" if len(cells) == 1 else f"{len(cells)} columns"
        expected = {2: "two"}.get(len(names), str(len(names)))
        header = "" if block.columns else "; other columns need a header line that names them"
        raise RowError("wrong_columns", f"{found}, not {expected} ({', '.join(names)}){header}")
    if not block.columns:
        return cells
    return [cells[names.index(name)] for name in options.fields]


def _jsonl(text: str, fields: tuple[str, ...]) -> list[str]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError("not_json", f"not valid JSON ({error})") from None
    if not isinstance(record, dict):
        raise RowError("not_json", "not a JSON object")
    return [_side(record, name) for name in fields]


def _side(record: dict[str, object], name: str) -> str:
    if name not in record:
        raise RowError("missing_field", f"no field {name!r} (its name is set by source_field, target_field, …)")
    side = record[name]
    if not isinstance(side, str):
        raise RowError("missing_field", f"field {name!r} is not a text")
    if not side.isascii():
        try:
            side.encode()
        except UnicodeEncodeError:
            raise RowError("not_utf8", f"field {name!r} holds half of a surrogate pair") from None
    return side


def _parquet(block: Block, path: str, options: Options, tally: Tally) -> Rows:
    with fsspec.open(block.path, "rb") as stream:
        table = pq.ParquetFile(stream).read_row_group(block.offset, columns=list(options.fields))
    columns: list[list[str]] = [[] for _ in options.fields]
    lines: list[int] = []
    for number, record in enumerate(table.to_pylist(), start=block.first):
        tally.read += 1
        try:
            texts = [_side(record, name) for name in options.fields]
        except RowError as fault:
            malformed(tally, path, number, fault, json.dumps(record, default=str))
            continue
        lines.append(number)
        for column, cell in zip(columns, texts, strict=True):
            column.append(cell)
    return Rows([pa.array(column, pa.string()) for column in columns], lines)
