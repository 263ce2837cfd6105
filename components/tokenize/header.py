"""The beginning of a text file of pairs: byte order mark, Excel's hint of the separator, header."""

from typing import NamedTuple

from seqline.components.tokenize.csv_records import first_record, separator_hint
from seqline.errors import UserError
from seqline.inputs.compression import check_content
from seqline.inputs.lines import BOM, check_encoding

# A file has more than one of these only if it is a table.
_FIRST_BYTES = 1 << 20
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}


class Header(NamedTuple):
    """What precedes the first record.

    Attributes:
        columns: The names of all columns, as the options write them; empty without a header.
        size: Bytes.
        lines: Lines.
        delimiter: What separates the cells of CSV.
    """

    columns: tuple[str, ...]
    size: int
    lines: int
    delimiter: str = ","


def read_header(start: bytes, path: str, form: str, needed: tuple[str, ...]) -> Header:
    """Reads what precedes the first record. A header is a first line that names every needed column, in any case.

    Args:
        start: The first bytes of the file, at least its first line.
        path: The file, for error messages.
        form: tsv, csv or jsonl.
        needed: The columns that are read.

    Raises:
        UserError: The file is not UTF-8 text with this end of lines and separator, or the header names a column twice.
    """
    check_content(start, path)
    check_encoding(start, path)
    if form != "csv" and b"\n" not in start and b"\r" in start.rstrip(b"\r"):
        raise UserError(f"{path}, line 1: the lines end with CR alone, as on old Macs; convert them to LF")
    mark = 0
    while start.startswith(BOM, mark):
        mark += len(BOM)
    if form == "jsonl":
        return Header((), mark, 0)
    if form == "csv":
        delimiter, hint = separator_hint(start[mark : mark + _FIRST_BYTES])
        begin = mark + hint
        cells, lines, size = first_record(start[begin : begin + _FIRST_BYTES], delimiter)
    else:
        delimiter, begin, lines = "\t", mark, 1
        size = start.find(b"\n", begin) + 1 - begin if b"\n" in start[begin:] else len(start) - begin
        cells = start[begin : begin + size].decode("utf-8", "replace").rstrip("\r\n").split("\t")
    before = int(begin > mark)
    names = _names(cells, needed)
    if not set(needed) <= set(names):
        if len(cells) == 1:
            _check_separator(cells[0], path, needed, delimiter)
        if form == "tsv":
            _check_quotes(cells, path, needed)
        return Header((), begin, before, delimiter)
    if repeated := sorted({name for name in names if name and names.count(name) > 1}):
        where = f"{path}, line {1 + before}"
        raise UserError(f"{where}: the header names {', '.join(repeated)} more than once; rename a column")
    return Header(names, begin + size, before + lines, delimiter)


def _names(cells: list[str], needed: tuple[str, ...]) -> tuple[str, ...]:
    """The names of columns; one that differs from a needed name in case alone is that name."""
    names = tuple(cell.strip().strip("\ufeff").strip() for cell in cells)
    if set(needed) <= set(names):
        return names
    by_folded = {name.casefold(): name for name in needed}
    return tuple(by_folded.get(name.casefold(), name) for name in names)


def _check_separator(cell: str, path: str, needed: tuple[str, ...], delimiter: str) -> None:
    """Raises an error for a header of one cell that names the columns with another separator."""
    for other, name in _SEPARATORS.items():
        found = [part.strip().strip('"') for part in cell.split(other)]
        if len(found) > 1 and set(needed) <= set(_names(found, needed)):
            usual = _SEPARATORS.get(delimiter, repr(delimiter))
            count = {1: "one", 2: "two"}.get(len(needed), str(len(needed)))
            remedy = f"save it with {usual}" if delimiter == "\t" else f"put the line sep={other} before it"
            raise UserError(
                f"{path}, line 1: one column, not {count} ({', '.join(needed)}): the header is separated by {name}, "
                f"not {usual}; {remedy}"
            )


def _check_quotes(cells: list[str], path: str, needed: tuple[str, ...]) -> None:
    """Raises an error for a header of TSV in quotes: its cells have quotes too, which would be part of the texts."""
    stripped = [cell.strip() for cell in cells]
    bare = [cell[1:-1] for cell in stripped if len(cell) > 1 and cell[0] == cell[-1] == '"']
    if set(needed) <= set(_names(bare, needed)):
        raise UserError(
            f"{path}, line 1: the header is in quotes, but TSV has no quoting; save it without quotes, or name it .csv "
            "and put a line with sep= and a tab before it"
        )
