"""Which files can be read, and how their names say it."""

from typing import NamedTuple

from seqline.errors import UserError

FORMATS = ("tsv", "csv", "jsonl", "parquet")
COMPRESSIONS = {"": None, "gz": "gzip", "zst": "zstd", "bz2": "bz2"}


class Input(NamedTuple):
    """One input file.

    Attributes:
        given: The parameter that names it: "data", "valid_data" or "test_data".
        path: Absolute path or URL; of a query, what messages call it.
        copied: Where the rows of a query are, as Parquet; empty for files.
    """

    given: str
    path: str
    copied: str = ""

    @property
    def place(self) -> str:
        """Where its bytes are."""
        return self.copied or self.path


def form_of(path: str) -> tuple[str, str | None]:
    """How a file is read, from its name: its format, and its compression in fsspec's words.

    Raises:
        UserError: The suffix is none that is known.
    """
    name, _, last = path.rpartition(".")
    compression = COMPRESSIONS.get(last.lower())
    form = (name.rpartition(".")[2] if compression else last).lower()
    if form not in FORMATS:
        suffixes = ", ".join(f".{form}" for form in FORMATS)
        packed = ", ".join(f".{suffix}" for suffix in COMPRESSIONS if suffix)
        raise UserError(f"{path}: input files end in {suffixes}, alone or with {packed}; convert or rename it")
    return form, compression
