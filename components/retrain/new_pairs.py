"""How many pairs are new since the live version was trained: without any, training would repeat itself."""

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from seqline.artifacts.monitoring import Window
from seqline.artifacts.monitoring_state import Folder
from seqline.artifacts.reference import Reference
from seqline.errors import UserError
from seqline.inputs.bigquery import fingerprint, is_query
from seqline.inputs.compression import DAMAGED, compression_of, decompressed
from seqline.inputs.files import find_files
from seqline.inputs.storage import fsspec
from seqline.paths import absolute_address

CHUNK = 1 << 20


def count_new_pairs(parameters: Mapping[str, Any], window: Window, reference: Reference | None) -> int:
    """Counts the rows of the data that the live version's corpus did not have, and the corrections since it is live.

    Args:
        parameters: Parameters of the new run.
        window: The window, which says where the corrections are and since when the version is live.
        reference: The live version's training corpus; None if it is not known: then every row is new.

    Raises:
        UserError: If the data cannot be read.
    """
    rows = sum(count_rows(str(parameters.get(name) or ""), name) for name in ("data", "valid_data", "test_data"))
    before = reference.sources.rows if reference else 0
    return max(0, rows - before) + _corrections(window)


def count_rows(data: str, parameter: str) -> int:
    """Counts the rows of input files.

    Args:
        data: As `find_files` takes it; empty for none.
        parameter: The parameter's name, for messages.

    Raises:
        UserError: If a file cannot be read.
    """
    return sum(_rows(path, parameter) for path in find_files(data, parameter)) if data.strip(" ,") else 0


def _rows(path: str, parameter: str) -> int:
    if is_query(path):
        return fingerprint(path, parameter)[0]
    suffix = compression_of(path)
    name = path.removesuffix(f".{suffix}").lower()
    try:
        with fsspec.open(path, "rb") as file:
            if name.endswith(".parquet"):
                import pyarrow.parquet as pq

                return int(pq.ParquetFile(file).metadata.num_rows)
            content = decompressed(file, suffix)
            if name.endswith(".csv"):
                with io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="") as text:
                    return max(0, sum(1 for _ in csv.reader(text)) - 1)  # without the header
            return _lines(content)
    except (*DAMAGED, csv.Error) as error:
        raise UserError(f"{parameter}: {path} cannot be read: {error or type(error).__name__}") from None


def _lines(content: Any) -> int:
    count, last = 0, b"\n"
    while chunk := content.read(CHUNK):
        count, last = count + chunk.count(b"\n"), chunk[-1:]
    return count + (last != b"\n")


def with_feedback(parameters: Mapping[str, Any], window: Window, name: str) -> dict[str, Any]:
    """Adds the corrections to the parameters of the new run, unless they name a file of feedback themselves.

    Args:
        parameters: Parameters of the new run.
        window: The window, which says where the corrections are.
        name: The new run, by which the file of the corrections is named.

    Returns:
        The parameters; `feedback` is a file beside the state, where there are corrections.
    """
    from seqline.sampling.corrections import corrections, lines_of, write_pairs

    if parameters.get("feedback") or window.requests.startswith("bq://"):
        return dict(parameters)
    pairs = corrections(window.requests, None, datetime.fromisoformat(window.end)).pairs
    if not pairs:
        return dict(parameters)
    file = absolute_address(f"{window.state.rstrip('/')}/feedback/{name}.jsonl")
    if "://" in file:
        Folder(file.rpartition("/")[0]).write(f"{name}.jsonl", "".join(lines_of(pairs)))
    else:
        write_pairs(Path(file), pairs)  # its owner alone reads it
    return {**parameters, "feedback": file}


def _corrections(window: Window) -> int:
    from seqline.artifacts.feedback_log import read_feedback

    if window.requests.startswith("bq://"):
        return 0
    try:
        since = datetime.fromisoformat(window.created)
    except ValueError:
        since = None
    since = since if since and since.tzinfo else None
    table = read_feedback(window.requests, since, datetime.fromisoformat(window.end), ["correction"]).table
    return len(table) - int(table["correction"].null_count)
