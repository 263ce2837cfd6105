"""Parsing: the records of a block to columns of texts; a malformed row is counted with its line and fault."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqline.components.tokenize.blocks import Block
from seqline.components.tokenize.columns import column_of
from seqline.components.tokenize.formats import place
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.records import RowError, fields_of, read_records
from seqline.components.tokenize.tally import Malformed, Tally
from seqline.inputs.lines import is_blank
from seqline.inputs.storage import fsspec


@dataclass
class Rows:
    """The well-formed records of a block.

    Attributes:
        columns: The texts of each of `Options.fields`.
        lines: The line of each record, from 1.
    """

    columns: list[pa.Array]
    lines: list[int] | range


def parse(block: Block, path: str, options: Options, tally: Tally) -> Rows:
    """Reads a block.

    Args:
        block: The block.
        path: Its input file, for error messages.
        options: The stage's options.
        tally: Counts the rows read, and the malformed ones.

    Raises:
        OSError: The bytes cannot be read.
    """
    collector = _Collector(path, options.fields, tally)
    if block.form == "parquet":
        return _parquet(block, options, collector)
    data = block.read()
    if block.form == "tsv" and (rows := _plain_tsv(data, block, options)):
        tally.read += len(rows.lines)
        return rows
    for line, text, fault, cells in read_records(data, block):
        try:
            if fault:
                raise fault
            # A blank line is an empty row, not a malformed one: files end in them. NULs are what a crash left of rows.
            blank = is_blank(text) and "\0" not in text
            texts = [""] * len(options.fields) if blank else fields_of(text, cells, block, options.fields)
        except RowError as error:
            collector.reject(line, error, text)
            continue
        collector.add(line, texts)
    return collector.rows()


class _Collector:
    """Collects rows one by one."""

    def __init__(self, path: str, fields: tuple[str, ...], tally: Tally) -> None:
        self.path, self.tally = path, tally
        self.columns: list[list[str]] = [[] for _ in fields]
        self.lines: list[int] = []

    def add(self, line: int, texts: list[str]) -> None:
        self.tally.read += 1
        self.lines.append(line)
        for column, text in zip(self.columns, texts, strict=True):
            column.append(text)

    def reject(self, line: int, error: RowError, text: str) -> None:
        reason, fault = error.args
        self.tally.read += 1
        self.tally.malformed += 1
        first = Malformed(self.path, line, fault)
        self.tally.first_malformed = min(self.tally.first_malformed or first, first)
        self.tally.reject(reason, text, where=place(self.path, line))

    def rows(self) -> Rows:
        return Rows([pa.array(column, pa.string()) for column in self.columns], self.lines)


def _plain_tsv(data: bytes, block: Block, options: Options) -> Rows | None:
    """All rows at once if every one has the right number of columns, else None."""
    names = block.columns or options.fields
    width = len(names)
    if not data.endswith(b"\n"):
        data += b"\n"
    raw = np.frombuffer(data, np.uint8)
    ends = (raw - 9) < 2
    positions = np.flatnonzero(ends)
    line_ends = raw[positions] == ord("\n")
    # Every line must have the same number of tabs as a row with all columns.
    if len(positions) % width or not line_ends[width - 1 :: width].all() or line_ends.sum() * width != len(positions):
        return None
    offsets = np.zeros(len(positions) + 1, np.int32)
    offsets[1:] = positions - np.arange(len(positions))
    content = raw[~ends].tobytes()
    cells = pa.StringArray.from_buffers(len(positions), pa.py_buffer(offsets), pa.py_buffer(content))
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        return None
    numbers = np.arange(len(positions), dtype=np.int32)
    columns = [cells.take(pa.array(numbers[names.index(name) :: width])) for name in options.fields]
    return Rows(columns, range(block.first, block.first + len(positions) // width))


def _parquet(block: Block, options: Options, collector: _Collector) -> Rows:
    with fsspec.open(block.path, "rb") as stream:
        table = pq.ParquetFile(stream).read_row_group(block.offset, columns=list(options.fields))
    columns = [column_of(table, name) for name in options.fields]
    if not any(column.null_count for column in columns):
        try:
            texts = [column.cast(pa.string()) for column in columns]
        except pa.ArrowInvalid:
            pass
        else:
            collector.tally.read += len(table)
            return Rows(texts, range(block.first, block.first + len(table)))
    for number, row in enumerate(zip(*(column.to_pylist() for column in columns), strict=True), start=block.first):
        try:
            texts = [_decoded(value, name) for value, name in zip(row, options.fields, strict=True)]
        except RowError as error:
            readable = (None if value is None else value.decode("utf-8", "replace") for value in row)
            record = dict(zip(options.fields, readable, strict=True))
            collector.reject(number, error, json.dumps(record, ensure_ascii=False))
            continue
        collector.add(number, texts)
    return collector.rows()


def _decoded(value: bytes | None, name: str) -> str:
    if value is None:
        raise RowError("missing_field", f"field {name!r} is null")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise RowError("not_utf8", f"byte {error.start + 1} of field {name!r} is not UTF-8") from None
