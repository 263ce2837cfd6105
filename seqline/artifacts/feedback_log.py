"""The log of feedback: Parquet files with a row for each correction or rating of an answer.

    feedback-20261130T010203Z-20261130T011203Z-1f0c9a2b.parquet

A server writes them in the folder of the sampled requests (docs/monitoring.md). How the files appear and are read:
`seqline.artifacts.row_log`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from seqline.artifacts.row_log import TIME, Found, RowLog


@dataclass(frozen=True)
class Feedback:
    """A row: what somebody said of an answer. The fields are the columns, in their order.

    Attributes:
        id: The answer's id, as in the log of requests.
        time: When it was sent, in UTC.
        version: The version that gave the answer, such as "3".
        rating: From -1, bad, to 1, good; null without one.
        correction: A better output; null without one.
        source: The text; null if neither the server nor the client knew it.
        output: The output as it was served; null likewise.
        comment: What else the person wrote; null without one.
    """

    id: str
    time: datetime
    version: str
    rating: float | None = None
    correction: str | None = None
    source: str | None = None
    output: str | None = None
    comment: str | None = None


SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", TIME, nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("rating", pa.float32()),
        pa.field("correction", pa.string()),
        pa.field("source", pa.string()),
        pa.field("output", pa.string()),
        pa.field("comment", pa.string()),
    ]
)

FEEDBACK = RowLog("feedback", SCHEMA, version=1)


def table_of(rows: Sequence[Feedback]) -> pa.Table:
    """Returns rows as a table.

    Args:
        rows: The rows.
    """
    return pa.table({one.name: [getattr(row, one.name) for row in rows] for one in fields(Feedback)}, SCHEMA)


def write_feedback(folder: str | Path, rows: Sequence[Feedback]) -> str:
    """Writes one file of the log; see `RowLog.write`.

    Args:
        folder: A folder or an address.
        rows: The rows, at least one.

    Returns:
        The file's address.
    """
    return FEEDBACK.write(folder, table_of(rows))


def read_feedback(
    address: str | Path,
    start: datetime | None = None,
    end: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> Found:
    """Reads the rows of a window; see `RowLog.read`.

    Args:
        address: The folder's path or address.
        start: Start of the window; None for the first row.
        end: End of the window, which is not in it; None for the last row.
        columns: The columns to read; None for all.
    """
    return FEEDBACK.read(address, start, end, columns)
