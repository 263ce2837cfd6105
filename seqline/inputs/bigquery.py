"""A BigQuery query instead of input files: its fingerprint, which BigQuery computes, and a copy of its rows."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from seqline.errors import UserError
from seqline.inputs.one_file import reason
from seqline.inputs.storage import fsspec

_BEGINNING = re.compile(r"\s*(?:SELECT|WITH)\s", re.IGNORECASE)
# Independent of the rows' order; the sum is there because equal rows cancel out in the XOR.
_FINGERPRINT = """\
SELECT COUNT(*) AS pairs, IFNULL(BIT_XOR(hash), 0) AS every_bit, IFNULL(SUM(MOD(hash, 4294967296)), 0) AS total
FROM (SELECT FARM_FINGERPRINT(TO_JSON_STRING(pair)) AS hash FROM (
{query}
) AS pair)"""


# In a job on Vertex AI the default project is one of Google's, in which nobody may run queries; this one names the
# job's own: https://cloud.google.com/vertex-ai/docs/training/code-requirements#environment-variables, and
# https://cloud.google.com/vertex-ai/docs/workbench/managed/executor#explicit-project-selection.
PROJECT = "CLOUD_ML_PROJECT_ID"


def open_client() -> Any:
    """Returns a client of BigQuery, whose queries are jobs of this run's project."""
    from google.cloud import bigquery

    return bigquery.Client(project=os.environ.get(PROJECT) or None)


def is_query(data: str) -> bool:
    """Returns whether a data parameter is a query: it begins with SELECT or WITH."""
    return bool(_BEGINNING.match(data))


def fingerprint(query: str, parameter: str) -> tuple[int, str]:
    """Fingerprints a query's result without downloading it.

    Args:
        query: GoogleSQL.
        parameter: The parameter that holds it, for error messages.

    Returns:
        The number of rows, and a checksum that does not depend on their order.

    Raises:
        UserError: BigQuery cannot be reached, or refuses the query.
    """
    (row,) = _result(_FINGERPRINT.format(query=query.strip().rstrip("; \t\r\n")), parameter, iter)
    return int(row["pairs"]), f"bigquery:{row['pairs']}/{row['every_bit']}/{row['total']}"


def copy(query: str, parameter: str, path: str) -> None:
    """Copies a query's result to a Parquet file, page by page.

    Args:
        query: GoogleSQL.
        parameter: The parameter that holds it, for error messages.
        path: The file to write, local or a URL.

    Raises:
        UserError: BigQuery cannot be reached, refuses the query, or it returns no rows; or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with fsspec.open(path, "wb") as file:
            writer: Any = None
            for batch in _result(query, parameter, lambda rows: rows.to_arrow_iterable()):
                writer = writer or pq.ParquetWriter(file, batch.schema)
                writer.write_table(pa.Table.from_batches([batch]))
            if writer is None:
                raise UserError(f"{parameter}: the query returns no rows: {query}")
            writer.close()
    except OSError as error:
        raise UserError(f"{parameter}: {path} cannot be written: {reason(error)}") from error


def _result(query: str, parameter: str, read: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    """Runs a query, and yields what is read of its rows."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield from read(open_client().query_and_wait(query))
    except GoogleAPICallError as error:
        message = re.sub(r"^[A-Z]+ \S+: ", "", str(error.message))
        raise UserError(f"{parameter}: BigQuery rejected the query: {message}") from None
    except (GoogleAuthError, OSError) as error:
        raise UserError(f"{parameter}: the query cannot be sent to BigQuery: {error}") from None
