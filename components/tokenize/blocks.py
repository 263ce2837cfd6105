"""Blocks: input files cut into ranges of whole records, which workers then parse in parallel."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from seqline.components.tokenize.columns import check_columns
from seqline.components.tokenize.csv_records import count_lines, end_of_records
from seqline.components.tokenize.formats import Input, form_of
from seqline.components.tokenize.header import read_header
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError
from seqline.inputs.compression import DAMAGED, decompressed
from seqline.inputs.storage import fsspec
from seqline.progress import count

BLOCK_BYTES = 8 << 20
LONGEST_RECORD = 64 << 20
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True)
class Block:
    """A range of whole records of a file: a reference, without the bytes.

    Attributes:
        file: The file's index in the list of inputs.
        form: tsv, csv, jsonl or parquet.
        path: The file of the bytes: the input itself, or its decompressed copy.
        offset: First byte; for Parquet, the row group.
        length: Bytes; for Parquet, rows.
        first: Number of the first line (for Parquet: row), from 1.
        columns: Names of the columns, if the file has a header.
        delimiter: What separates the cells of CSV.
    """

    file: int
    form: str
    path: str
    offset: int
    length: int
    first: int
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    def read(self) -> bytes:
        """Reads its bytes.

        Raises:
            OSError: They cannot be read.
        """
        with fsspec.open(self.path, "rb") as file:
            file.seek(self.offset)
            return bytes(file.read(self.length))


class CutFiles(beam.DoFn):
    """Cuts a file into blocks; yields `Block`s and, tagged "tally", why a file cannot be read.

    A compressed file is first copied without compression, so that all cores can parse its blocks.

    Args:
        files: All inputs.
        options: The stage's options.
        work: Folder for the decompressed copies.
    """

    def __init__(self, files: list[Input], options: Options, work: str) -> None:
        self.files, self.options, self.work = files, options, work

    def process(self, file: int) -> Iterator[Any]:
        """Cuts one file.

        Args:
            file: Its index.
        """
        path = self.files[file].path
        form, compression = form_of(self.files[file].stored)
        line = 1
        try:
            for block in (self._parquet if form == "parquet" else self._text)(file, path, form, compression):
                line = block.first
                count(blocks=1)
                yield block
        except UserError as error:
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[str(error)]))
        except (*DAMAGED, pa.ArrowException) as error:
            problem = f"{path} cannot be read after line {line}: {error}; check whether the file is complete"
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[problem]))

    def _fields(self, file: int) -> tuple[str, ...]:
        return self.options.of(self.files[file].parameter).fields

    def _text(self, file: int, path: str, form: str, compression: str) -> Iterator[Block]:
        with fsspec.open(path, "rb") as packed, decompressed(packed, compression) as stream:
            start = _start(stream)
            header = read_header(start, path, form, self._fields(file))
            offset, line = header.size, 1 + header.lines
            records = _whole_records(start[offset:], stream, path, form, header.delimiter, line)
            for number, (block, lines) in enumerate(records):
                where, first = path, offset
                if compression:
                    where, first = f"{self.work}/unpacked-{file:05}-{number:05}", 0
                    with fsspec.open(where, "wb") as target:
                        target.write(block)
                yield Block(file, form, where, first, len(block), line, header.columns, header.delimiter)
                offset, line = offset + len(block), line + lines

    def _parquet(self, file: int, path: str, form: str, compression: str) -> Iterator[Block]:
        import pyarrow.parquet as pq

        where = self.files[file].stored
        if compression:
            where = f"{self.work}/unpacked-{file:05}"
            with (
                fsspec.open(path, "rb") as packed,
                decompressed(packed, compression) as stream,
                fsspec.open(where, "wb") as target,
            ):
                shutil.copyfileobj(stream, target, BLOCK_BYTES)
        with fsspec.open(where, "rb") as stream:
            parquet = pq.ParquetFile(stream)
            check_columns(parquet.schema_arrow, self._fields(file), path)
            row = 1
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                if rows:
                    yield Block(file, form, where, group, rows, row)
                row += rows


def _start(stream: Any) -> bytes:
    """The first block, or more if that has no whole line."""
    start = b""
    while (len(start) < BLOCK_BYTES or (b"\n" not in start and len(start) < _LONGEST_HEADER)) and (
        chunk := stream.read(BLOCK_BYTES)
    ):
        start += chunk
    return start


def _whole_records(
    rest: bytes, stream: Any, path: str, form: str, delimiter: str, line: int
) -> Iterator[tuple[bytes, int]]:
    """Reads a text file in ranges of about `BLOCK_BYTES` that end with a record, with their numbers of lines."""
    while True:
        end = end_of_records(rest, delimiter) if form == "csv" else rest.rfind(b"\n") + 1
        if end:
            lines = count_lines(rest[:end]) if form == "csv" else rest.count(b"\n", 0, end)
            yield rest[:end], lines
            rest, line = rest[end:], line + lines
        elif len(rest) > LONGEST_RECORD:
            quote = (
                "; check for a quote that is not closed"
                if form == "csv" and b'"' in rest
                else "; check whether this is a text file"
            )
            raise UserError(
                f"{path}, line {line}: the {'record' if form == 'csv' else 'line'} that begins here is longer than "
                f"{LONGEST_RECORD >> 20} MiB{quote}"
            )
        chunk = stream.read(BLOCK_BYTES)
        if not chunk:
            break
        rest += chunk
    if rest:
        yield rest, 0
