"""The log of feedback: Parquet files with a row for each correction or rating of an answer.

    feedback-20261130T010203Z-20261130T011203Z-1f0c9a2b.parquet

A server writes them in the folder of the sampled requests (docs/monitoring.md). `seqline.artifacts.row_log`
writes and reads the files.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from seqline.artifacts.row_log import TIME, RowLog


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
table_of, write_feedback, read_feedback = FEEDBACK.table_of, FEEDBACK.write_rows, FEEDBACK.read


def last_of_each_answer(feedback: pa.Table) -> pa.Table:
    """Returns the last rating and the last correction of each answer: who repeats or changes a rating has one voice.

    Args:
        feedback: Rows, maybe of some columns only, with id and time.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in feedback.sort_by("time").to_pylist():
        known = found.get(row["id"], {})
        found[row["id"]] = {name: known.get(name) if value is None else value for name, value in row.items()}
    return pa.Table.from_pylist(list(found.values()), schema=feedback.schema)
