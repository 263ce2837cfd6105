"""Reading: files of rows in, cleaned pairs out, in blocks so that Beam handles few elements."""

import json
import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any

import apache_beam as beam
import fsspec

from components.errors import UserError
from components.tokenize.options import Options
from components.tokenize.tally import Malformed, Tally
from components.tokenize.text import clean

Block = str
"""Cleaned pairs, "source TAB target" a line: cleaned text holds neither tab nor line break."""

Given = str
"""Which parameter a row comes from: "data", "valid_data" or "test_data"."""

SUFFIXES = (".tsv", ".jsonl", ".tsv.gz", ".jsonl.gz")
_LINES = 8192


def check_suffix(path: str) -> None:
    """Refuses a file whose name does not say how to read it.

    Raises:
        UserError: The suffix is none of `SUFFIXES`.
    """
    if not path.endswith(SUFFIXES):
        raise UserError(f"{path}: input files end in {', '.join(SUFFIXES)}; convert or rename it")


def place(source: str) -> int:
    """A number below 2**64 that only the source decides: it orders pairs, and says their split and shard."""
    return int.from_bytes(blake2b(source.encode(), digest_size=8).digest(), "big")


class _RowError(Exception):
    """A row is no pair: a short reason, and what is wrong."""


class ReadPairs(beam.DoFn):
    """Reads a file; yields (shard, (given, block)) and, tagged "tally", what was read and rejected.

    Nothing is raised for bad content: the tally carries it to the driver, whatever runner is between.

    Args:
        options: The stage's options.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def process(self, file: tuple[Given, str]) -> Iterator[Any]:
        """Reads one file.

        Args:
            file: The parameter that names it, and its path.
        """
        given, path = file
        tally = Tally()
        parse = _parse_tsv if path.removesuffix(".gz").endswith(".tsv") else self._parse_jsonl
        try:
            with fsspec.open(path, "rb", compression="gzip" if path.endswith(".gz") else None) as lines:
                while block := list(islice(lines, _LINES)):
                    shards: dict[int, list[str]] = {}
                    for number, line in enumerate(block, start=tally.read + 1):
                        pair = _pair(line, path, number, parse, tally)
                        if pair:
                            shards.setdefault(place(pair[0]) % self.options.shards, []).append("\t".join(pair))
                    tally.read += len(block)
                    for shard, rows in shards.items():
                        yield shard, (given, "\n".join(rows))
        except (EOFError, zlib.error, OSError) as error:
            reached = f" after line {tally.read}" if tally.read else ""
            tally.problems.append(f"{path} cannot be read{reached}: {error}; is the file complete?")
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _parse_jsonl(self, text: str) -> tuple[str, str]:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _RowError("not_json", f"not valid JSON ({error})") from None
        if not isinstance(record, dict):
            raise _RowError("not_json", "not a JSON object")
        source = self._side(record, self.options.source_field)
        return source, self._side(record, self.options.target_field)

    @staticmethod
    def _side(record: dict[str, object], field: str) -> str:
        if field not in record:
            raise _RowError("missing_field", f"no field {field!r} (its name is set by source_field or target_field)")
        side = record[field]
        if not isinstance(side, str):
            raise _RowError("missing_field", f"field {field!r} is not a text")
        if not side.isascii():
            try:
                side.encode()
            except UnicodeEncodeError:
                raise _RowError("not_utf8", f"field {field!r} holds half of a surrogate pair") from None
        return side


def _parse_tsv(text: str) -> tuple[str, str]:
    columns = text.split("\t")
    if len(columns) != 2:
        found = "one column" if len(columns) == 1 else f"{len(columns)} columns"
        raise _RowError("wrong_columns", f"{found}, not two (source TAB target)")
    return columns[0], columns[1]


def _pair(
    line: bytes, path: str, number: int, parse: Callable[[str], tuple[str, str]], tally: Tally
) -> tuple[str, str] | None:
    """The cleaned pair of a row, or None once the tally says why there is none."""
    text = ""
    try:
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", "replace")
            raise _RowError("not_utf8", f"byte {error.start + 1} of the row is not UTF-8") from None
        # A blank line is nothing lost: files end in them.
        parsed = parse(text) if text.strip() else ("", "")
    except _RowError as fault:
        reason, what = fault.args
        tally.malformed += 1
        tally.first_malformed = tally.first_malformed or Malformed(path, number, what)
        tally.reject(reason, text, where=f"{path}, line {number}")
        return None
    source, target = clean(parsed[0]), clean(parsed[1])
    if source and target:
        return source, target
    tally.reject("empty", source, target, f"{path}, line {number}")
    return None
