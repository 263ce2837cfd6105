"""Input files, and the formats that their names stand for."""

from typing import NamedTuple

from seqline.errors import UserError

FORMATS = ("tsv", "csv", "jsonl", "parquet")
COMPRESSIONS = {"": None, "gz": "gzip", "zst": "zstd", "bz2": "bz2"}


class Input(NamedTuple):
    """One input file.

    Attributes:
        parameter: The parameter that names it: "data", "valid_data" or "test_data".
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


def form_of(path: str) -> tuple[str, str | None]:
    """Tells a file's format and compression from its name.

    Args:
        path: The file.

    Returns:
        One of `FORMATS`, and the compression as fsspec names it.

    Raises:
        UserError: The suffix is unknown.
    """
    name, _, last = path.rpartition(".")
    compression = COMPRESSIONS.get(last.lower())
    form = (name.rpartition(".")[2] if compression else last).lower()
    if form not in FORMATS:
        suffixes = ", ".join(f".{form}" for form in FORMATS)
        packed = ", ".join(f".{suffix}" for suffix in COMPRESSIONS if suffix)
        raise UserError(f"{path}: input files end in {suffixes}, alone or with {packed}; convert or rename it")
    return form, compression
