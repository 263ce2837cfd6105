"""Reading files: cutting them into blocks of whole records, which workers then parse in parallel."""

import bz2
import csv
import gzip
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import fsspec
import pyarrow as pa

from seqline.components.tokenize.formats import Input, form_of
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

BLOCK_BYTES = 8 << 20
LONGEST_RECORD = 64 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Block:
    """Some whole records of a file: a reference, the bytes stay where they are.

    Attributes:
        file: The file's number in the list of inputs.
        form: tsv, csv, jsonl or parquet.
        path: Where the bytes are: the file itself, or its unpacked copy.
        offset: First byte; of Parquet, the row group.
        length: Bytes; of Parquet, rows.
        first: Number of the first line (Parquet: row), from 1.
        columns: Names of the columns, where the file has a header.
    """

    file: int
    form: str
    path: str
    offset: int
    length: int
    first: int
    columns: tuple[str, ...] = ()

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: They cannot be read.
        """
        with fsspec.open(self.path, "rb") as file:
            file.seek(self.offset)
            return bytes(file.read(self.length))


class CutFiles(beam.DoFn):
    """Cuts a file into blocks; yields `Block`s and, tagged "tally", why a file cannot be read.

    A packed file is unpacked beside the corpus first, so that its blocks can be parsed on all cores.

    Args:
        files: All inputs.
        options: The stage's options.
        work: Folder for what is unpacked.
    """

    def __init__(self, files: list[Input], options: Options, work: str) -> None:
        self.files, self.options, self.work = files, options, work

    def process(self, file: int) -> Iterator[Any]:
        """Cuts one file.

        Args:
            file: Its number.
        """
        path = self.files[file].path
        form, compression = form_of(self.files[file].place)
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
        rest, offset, line, columns, number = b"", 0, 1, None, 0
        with fsspec.open(path, "rb") as packed, _unpacked(packed, compression) as stream:
            while True:
                chunk = stream.read(BLOCK_BYTES)
                data = rest + chunk
                end = _end_of_records(data, form) if chunk else len(data)
                if not end and chunk:
                    if len(data) > LONGEST_RECORD:
                        raise UserError(
                            f"{path}, line {line}: a record is longer than {LONGEST_RECORD >> 20} MiB; is this a text "
                            f"file with one {'record' if form == 'csv' else 'line'} a pair, and every quote closed?"
                        )
                    rest = data
                    continue
                block, rest = data[:end], data[end:]
                if columns is None:
                    columns, skipped = self._header(block, path, form)
                    block, offset, line = block[skipped:], skipped, 1 + bool(columns)
                if block:
                    if compression:
                        place = f"{self.work}/unpacked-{file:05}-{number:05}"
                        with fsspec.open(place, "wb") as copy:
                            copy.write(block)
                        yield Block(file, form, place, 0, len(block), line, columns)
                    else:
                        yield Block(file, form, path, offset, len(block), line, columns)
                offset, line, number = offset + len(block), line + block.count(b"\n"), number + 1
                if not chunk:
                    return

    def _header(self, block: bytes, path: str, form: str) -> tuple[tuple[str, ...], int]:
        """The names of the columns, where the first line is a header, and the bytes to leave out."""
        if block.startswith(_UTF16):
            raise UserError(f"{path}, line 1: the file is UTF-16; convert it to UTF-8")
        mark = len(_BOM) if block.startswith(_BOM) else 0
        line = block[mark : block.find(b"\n") + 1 or None]
        if form == "jsonl":
            return (), mark
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        try:
            cells = text.split("\t") if form == "tsv" else next(csv.reader([text]), [])
        except csv.Error:
            return (), mark
        names = tuple(cell.strip() for cell in cells)
        needed = self.options.fields
        if not set(needed) <= set(names):
            return (), mark
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{path}, line 1: the header names {', '.join(repeated)} more than once; rename a column")
        return names, mark + len(line)

    def _parquet(self, file: int, path: str, form: str, compression: str | None) -> Iterator[Block]:
        import pyarrow.parquet as pq

        where = self.files[file].place
        if compression:
            where = f"{self.work}/unpacked-{file:05}"
            with (
                fsspec.open(path, "rb") as packed,
                _unpacked(packed, compression) as stream,
                fsspec.open(where, "wb") as copy,
            ):
                shutil.copyfileobj(stream, copy, BLOCK_BYTES)
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


def _end_of_records(data: bytes, form: str) -> int:
    """Where the last whole record ends; 0 when there is none."""
    end = data.rfind(b"\n") + 1
    if form == "csv":
        # A quoted cell may hold line breaks: a record ends where the quotes before it are even.
        odd = data.count(b'"', 0, end) % 2
        while end and odd:
            before = data.rfind(b"\n", 0, end - 1) + 1
            odd ^= data.count(b'"', before, end) % 2
            end = before
    return end


def _unpacked(file: Any, compression: str | None) -> Any:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    if compression == "bz2":
        return bz2.BZ2File(file)
    # Unlike zstandard's own reader, Arrow's says when a file is cut short.
    return pa.CompressedInputStream(pa.PythonFile(file), "zstd") if compression else file
