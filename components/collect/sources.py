"""Where the sampled requests of an endpoint are: a folder of files, or a table of BigQuery."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from seqline.components.collect.live import Live
from seqline.errors import UserError
from seqline.inputs.bigquery import open_client

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = re.compile(r"bq://([\w.:-]+)\.(\w+)\.(\w+)")
LANGUAGES = 20_000
"""Texts of a table whose language is identified, which takes about a millisecond."""
HINT = "docs/monitoring.md says how to sample requests"


class Log(Protocol):
    """Sampled requests and feedback, by time."""

    @property
    def address(self) -> str:
        """Where they are."""

    @property
    def default_state(self) -> str:
        """The folder of the state of monitoring, unless the options name another."""

    def requests(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The requests of a window, and why some could not be read."""

    def feedback(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The feedback of a window, and why some could not be read."""

    def require_any(self) -> None:
        """Checks that something was sampled at all.

        Raises:
            UserError: If nothing ever was.
        """


@dataclass(frozen=True)
class Files:
    """Files that a server writes.

    Attributes:
        address: Their folder, local or in a bucket.
    """

    address: str

    @property
    def default_state(self) -> str:
        """A folder beside the files."""
        return f"{self.address.rstrip('/')}/monitoring"

    def requests(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The requests of a window."""
        from seqline.artifacts.request_log import read_requests

        found = read_requests(self.address, start, end)
        return found.table, list(found.unread)

    def feedback(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The feedback of a window."""
        from seqline.artifacts.feedback_log import read_feedback

        found = read_feedback(self.address, start, end)
        return found.table, list(found.unread)

    def require_any(self) -> None:
        """Checks that there is a file."""
        from seqline.artifacts.request_log import REQUESTS

        if not REQUESTS.files(self.address):
            raise UserError(f"there are no sampled requests in {self.address}: turn on sampling ({HINT})")


@dataclass(frozen=True)
class BigQuery:
    """The table that Vertex AI logs requests and responses to.

    Attributes:
        address: bq://PROJECT.DATASET.TABLE.
        live: The live version, with whose tokenizer the rows are completed.
        query: Runs a query on a window; replaced in tests.
    """

    address: str
    live: Live
    query: "Callable[[str, datetime, datetime], Iterable[Mapping[str, Any]]]"

    @property
    def default_state(self) -> str:
        """There is none beside a table."""
        raise UserError(
            f"state is empty, and there is no folder beside the table {self.address}: set monitoring.state to a folder "
            "in a bucket"
        )

    def requests(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The requests of a window, with their texts where Vertex has them."""
        from seqline.sampling.features import Features
        from seqline.sampling.vertex_log import Logged, rows_of

        project, dataset, table = table_of(self.address)
        # Columns: https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging#table-schema
        query = (
            "SELECT deployed_model_id, request_id, logging_time, request_payload, response_payload "  # noqa: S608
            f"FROM `{project}.{dataset}.{table}` WHERE logging_time >= @start AND logging_time < @end"
        )
        logged = [
            Logged(
                row["logging_time"],
                str(row["request_id"]),
                self.live.deployed.get(str(row["deployed_model_id"]), "another"),
                row["request_payload"] or [],
                row["response_payload"] or [],
            )
            for row in self.query(query, start, end)
        ]
        tokens = self.live.tokens() if logged else None
        version = self.live.version
        features = Features(lambda one: tokens if one == version else None, languages_a_second=LANGUAGES)
        found, problems = rows_of(logged, features, texts=True)
        shown = problems[:1] + ([f"{len(problems) - 1} more requests were skipped"] if len(problems) > 1 else [])
        return found, shown

    def feedback(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """None: the table has no feedback."""
        from seqline.artifacts.feedback_log import SCHEMA

        return SCHEMA.empty_table(), []

    def require_any(self) -> None:
        """Nothing: a query has checked the table."""


def run_query(query: str, start: datetime, end: datetime) -> "Iterable[Mapping[str, Any]]":
    """Runs a query on BigQuery.

    Args:
        query: GoogleSQL with the parameters start and end.
        start: Start of the window.
        end: End of the window.

    Raises:
        UserError: If BigQuery cannot be reached, or refuses the query.
    """
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import bigquery

    span = [bigquery.ScalarQueryParameter(name, "TIMESTAMP", value) for name, value in (("start", start), ("end", end))]
    try:
        return list(open_client().query_and_wait(query, job_config=bigquery.QueryJobConfig(query_parameters=span)))
    except (GoogleAPICallError, GoogleAuthError, OSError) as error:
        message = getattr(error, "message", "") or error
        raise UserError(f"requests: BigQuery rejected the query, or cannot be reached: {message}") from None


def table_of(address: str) -> tuple[str, str, str]:
    """Returns project, dataset and table.

    Args:
        address: bq://PROJECT.DATASET.TABLE.

    Raises:
        UserError: If it has another form.
    """
    named = TABLE.fullmatch(address)
    if not named:
        raise UserError(f"requests: {address!r} is not bq://PROJECT.DATASET.TABLE")
    project, dataset, table = named.groups()
    return project, dataset, table


def log_of(endpoint: str, requests: str, live: Live) -> Log:
    """Finds the log of an endpoint's requests.

    Args:
        endpoint: The endpoint.
        requests: Address of the log; empty for the endpoint's own.
        live: The live version.

    Raises:
        UserError: If the endpoint has no log of its own.
    """
    address = requests or live.samples
    if address.startswith("bq://"):
        table_of(address)
        return BigQuery(address, live, run_query)
    if address:
        return Files(address)
    raise UserError(f"the requests of {endpoint} are not sampled: turn on sampling, or set monitoring.requests; {HINT}")
