"""The header of a text file of pairs."""

import csv

from seqline.errors import UserError

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_header(start: bytes, path: str, form: str, needed: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Reads the header, if there is one: a first line that names every needed column.

    Args:
        start: The first bytes of the file, at least its first line.
        path: The file, for error messages.
        form: tsv, csv or jsonl.
        needed: The columns that are read.

    Returns:
        The names of all columns, empty without a header; and the number of bytes before the first record.

    Raises:
        UserError: The file is UTF-16, or the header names a column twice.
    """
    if start.startswith(_UTF16):
        raise UserError(f"{path}, line 1: the file is UTF-16; convert it to UTF-8")
    mark = len(_BOM) if start.startswith(_BOM) else 0
    line = start[mark : start.find(b"\n") + 1 or None]
    if form == "jsonl":
        return (), mark
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    try:
        cells = text.split("\t") if form == "tsv" else next(csv.reader([text]), [])
    except csv.Error:
        return (), mark
    names = tuple(cell.strip() for cell in cells)
    if not set(needed) <= set(names):
        return (), mark
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path}, line 1: the header names {', '.join(repeated)} more than once; rename a column")
    return names, mark + len(line)
