"""Blocks: input files cut into ranges of whole records, which workers then parse in parallel."""

import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import fsspec
import pyarrow as pa

from seqline.components.tokenize.decompression import decompressed
from seqline.components.tokenize.formats import Input, form_of
from seqline.components.tokenize.header import read_header
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

BLOCK_BYTES = 8 << 20
LONGEST_RECORD = 64 << 20


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
    """

    file: int
    form: str
    path: str
    offset: int
    length: int
    first: int
    columns: tuple[str, ...] = ()

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
                yield block
        except UserError as error:
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[str(error)]))
        except (EOFError, zlib.error, OSError, pa.ArrowException) as error:
            problem = f"{path} cannot be read after line {line}: {error}; is the file complete?"
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[problem]))

    def _text(self, file: int, path: str, form: str, compression: str | None) -> Iterator[Block]:
        offset, line, columns = 0, 1, None
        with fsspec.open(path, "rb") as packed, decompressed(packed, compression) as stream:
            for number, data in enumerate(_whole_records(stream, path, form)):
                block = data
                if columns is None:
                    columns, offset = read_header(data, path, form, self.options.fields)
                    block, line = data[offset:], 1 + bool(columns)
                if block and compression:
                    copy = f"{self.work}/unpacked-{file:05}-{number:05}"
                    with fsspec.open(copy, "wb") as target:
                        target.write(block)
                    yield Block(file, form, copy, 0, len(block), line, columns)
                elif block:
                    yield Block(file, form, path, offset, len(block), line, columns)
                offset, line = offset + len(block), line + block.count(b"\n")

    def _parquet(self, file: int, path: str, form: str, compression: str | None) -> Iterator[Block]:
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
            names = parquet.schema_arrow.names
            for name in self.options.fields:
                if name not in names:
                    raise UserError(f"{path}: no column {name!r} (source_field, target_field, …); it has {names}")
            row = 1
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                if rows:
                    yield Block(file, form, where, group, rows, row)
                row += rows


def _whole_records(stream: Any, path: str, form: str) -> Iterator[bytes]:
    """Reads a text file in ranges of about `BLOCK_BYTES` that end with a record; the last one may be empty."""
    rest, line = b"", 1
    while chunk := stream.read(BLOCK_BYTES):
        data = rest + chunk
        end = _end_of_records(data, form)
        if end:
            line += data.count(b"\n", 0, end)
            yield data[:end]
        elif len(data) > LONGEST_RECORD:
            raise UserError(
                f"{path}, line {line}: a record is longer than {LONGEST_RECORD >> 20} MiB; is this a text "
                f"file with one {'record' if form == 'csv' else 'line'} a pair, and every quote closed?"
            )
        rest = data[end:]
    yield rest


def _end_of_records(data: bytes, form: str) -> int:
    """The position after the last whole record; 0 if there is none."""
    end = data.rfind(b"\n") + 1
    if form == "csv":
        # A quoted cell may hold line breaks: at the end of a record the number of quotes so far is even.
        odd = data.count(b'"', 0, end) % 2
        while end and odd:
            before = data.rfind(b"\n", 0, end - 1) + 1
            odd ^= data.count(b'"', before, end) % 2
            end = before
    return end
