"""Input files, and the formats that their names stand for."""

from typing import NamedTuple

from seqline.errors import UserError
from seqline.inputs.compression import COMPRESSIONS, compression_of

FORMATS = ("tsv", "csv", "jsonl", "parquet")


class Input(NamedTuple):
    """One input file.

    Attributes:
        parameter: The parameter that names it: "data", "valid_data", "test_data" or "feedback".
        path: Absolute path or URL; for a query, its name in messages.
        copy: Path of the Parquet file with a query's rows; empty for files.
    """

    parameter: str
    path: str
    copy: str = ""

    @property
    def stored(self) -> str:
        """The path of its bytes."""
        return self.copy or self.path


def form_of(path: str) -> tuple[str, str]:
    """Returns a file's format and compression by its name.

    Args:
        path: The file.

    Returns:
        One of `FORMATS`, and one of `COMPRESSIONS`, empty for none.

    Raises:
        UserError: The suffix is unknown.
    """
    compression = compression_of(path)
    form = (path[: -len(compression) - 1] if compression else path).rpartition(".")[2].lower()
    if form not in FORMATS:
        suffixes = ", ".join(f".{form}" for form in FORMATS)
        packed = ", ".join(f".{suffix}" for suffix in COMPRESSIONS)
        raise UserError(f"{path}: input files end in {suffixes}, alone or with {packed}; convert or rename it")
    return form, compression


def place(path: str, number: int) -> str:
    """Returns the place of a record, for messages: "file, line 3", or "file, row 3" for Parquet and queries.

    Args:
        path: The `Input`'s path.
        number: From 1.
    """
    compression = compression_of(path)
    name = (path[: -len(compression) - 1] if compression else path).lower()
    return f"{path}, {'line' if name.endswith(('.tsv', '.csv', '.jsonl')) else 'row'} {number}"
