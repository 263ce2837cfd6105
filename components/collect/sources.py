"""Where the sampled requests of an endpoint are: a folder of files, or a table of BigQuery."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from seqline.artifacts.reference import Reference
from seqline.endpoints.local_endpoint import local_endpoint
from seqline.endpoints.names import is_remote
from seqline.endpoints.sampling import FOLDER
from seqline.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = re.compile(r"bq://([\w.:-]+)\.(\w+)\.(\w+)")
HINT = "docs/monitoring.md says how to sample requests"


class Log(Protocol):
    """Sampled requests and feedback, by time.

    Attributes:
        address: Where they are.
        default_state: The folder of the state of monitoring, unless the options name another.
    """

    address: str
    default_state: str

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
            raise UserError(f"there are no sampled requests in {self.address}: turn sampling on ({HINT})")


Convert = Callable[[Any], "pa.Table"]
"""From rows of the table of requests and responses to rows of the log of requests."""


@dataclass(frozen=True)
class BigQuery:
    """The table that Vertex AI logs requests and responses to.

    Attributes:
        address: bq://PROJECT.DATASET.TABLE.
        convert: Makes requests of the table's rows.
    """

    address: str
    convert: Convert

    @property
    def default_state(self) -> str:
        """There is none beside a table."""
        raise UserError(
            f"state is empty, and there is no folder beside the table {self.address}: set monitoring.state to a folder "
            "in a bucket"
        )

    def requests(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """The requests of a window."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import bigquery

        project, dataset, table = table_of(self.address)
        # Columns: https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging#table-schema
        query = (
            "SELECT deployed_model_id, logging_time, request_payload, response_payload "  # noqa: S608 (checked names)
            f"FROM `{project}.{dataset}.{table}` WHERE logging_time >= @start AND logging_time < @end"
        )
        span = [
            bigquery.ScalarQueryParameter(name, "TIMESTAMP", value) for name, value in (("start", start), ("end", end))
        ]
        try:
            rows = bigquery.Client().query_and_wait(query, job_config=bigquery.QueryJobConfig(query_parameters=span))
            return self.convert(rows), []
        except (GoogleAPICallError, GoogleAuthError, OSError) as error:
            raise UserError(f"requests: {self.address} cannot be read: {error}") from None

    def feedback(self, start: datetime, end: datetime) -> "tuple[pa.Table, list[str]]":
        """None: the table has no feedback."""
        from seqline.artifacts.feedback_log import SCHEMA

        return SCHEMA.empty_table(), []

    def require_any(self) -> None:
        """Nothing: a query has checked the table."""


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


def log_of(endpoint: str, requests: str, reference: Reference | None) -> Log:
    """Finds the log of an endpoint's requests.

    Args:
        endpoint: The endpoint.
        requests: Address of the log; empty for the endpoint's own.
        reference: Of the live version, with which rows of a table are completed.

    Raises:
        UserError: If the endpoint has no log of its own.
    """
    if requests.startswith("bq://"):
        table_of(requests)
        return BigQuery(requests, _conversion(reference))
    if requests:
        return Files(requests)
    if is_remote(endpoint):
        raise UserError(
            f"requests is empty, and {endpoint} has no folder of its own: set monitoring.requests to the folder or the "
            f"table that its requests are sampled to; {HINT}"
        )
    local = local_endpoint(endpoint)
    settings = local.read()
    return Files((settings.sampling.folder if settings else "") or str(local.path / FOLDER))


def _conversion(reference: Reference | None) -> Convert:
    raise UserError("requests: this version of Seqline does not read a table of BigQuery yet; sample to a folder")
