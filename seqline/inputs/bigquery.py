"""Rows of a BigQuery query in the place of files: their fingerprint, which BigQuery computes, and a copy of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from seqline.errors import UserError

_BEGINNING = re.compile(r"\s*(?:SELECT|WITH)\s", re.IGNORECASE)
# The order of a result's rows means nothing, and equal rows must not cancel out: two sums of a hash.
_FINGERPRINT = """\
SELECT COUNT(*) AS pairs, IFNULL(BIT_XOR(hash), 0) AS every_bit, IFNULL(SUM(MOD(hash, 4294967296)), 0) AS total
FROM (SELECT FARM_FINGERPRINT(TO_JSON_STRING(pair)) AS hash FROM (
{query}
) AS pair)"""


def is_query(data: str) -> bool:
    """Whether a data parameter is a query: it begins with SELECT or WITH."""
    return bool(_BEGINNING.match(data))


def fingerprint(query: str, parameter: str) -> tuple[int, str]:
    """Reads a query's result without fetching it.

    Args:
        query: GoogleSQL.
        parameter: The parameter that holds it, for messages.

    Returns:
        How many rows it has, and a checksum of them in any order.

    Raises:
        UserError: BigQuery cannot be reached, or refuses the query.
    """
    with _running(_FINGERPRINT.format(query=query.strip().rstrip("; \t\r\n")), parameter) as rows:
        (row,) = rows
        return int(row["pairs"]), f"bigquery:{row['pairs']}/{row['every_bit']}/{row['total']}"


def copy(query: str, parameter: str, path: str) -> None:
    """Copies a query's result to a Parquet file, a page at a time.

    Args:
        query: GoogleSQL.
        parameter: The parameter that holds it, for messages.
        path: The file to write, local or a URL.

    Raises:
        UserError: BigQuery cannot be reached, or refuses the query.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _running(query, parameter) as rows, fsspec.open(path, "wb") as file:
        writer: Any = None
        for batch in rows.to_arrow_iterable():
            writer = writer or pq.ParquetWriter(file, batch.schema)
            writer.write_table(pa.Table.from_batches([batch]))
        if writer is None:
            raise UserError(f"{parameter}: the query returns no rows: {query}")
        writer.close()


@contextmanager
def _running(query: str, parameter: str) -> Iterator[Any]:
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import bigquery

    try:
        yield bigquery.Client().query_and_wait(query)
    except GoogleAPICallError as error:
        message = re.sub(r"^[A-Z]+ \S+: ", "", str(error.message))
        raise UserError(f"{parameter}: BigQuery refuses the query: {message}") from None
    except (GoogleAuthError, OSError) as error:
        raise UserError(f"{parameter}: the query cannot be sent to BigQuery: {error}") from None
