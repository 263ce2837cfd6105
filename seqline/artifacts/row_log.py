"""Logs of rows: a folder or a bucket with Parquet files that appear whole, each of a span of time.

    requests-20261130T010203Z-20261130T011203Z-1f0c9a2b.parquet

The name has the times of the first and the last row, so that a reader opens the files of its window alone, and a random
number, so that two processes write to one folder. A name that begins with a dot is of a file that is being written.
"""

import errno
import io
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqline.artifacts.private_files import make_private, write_private
from seqline.buckets import patiently
from seqline.errors import UserError
from seqline.inputs.storage import list_files, open_folder
from seqline.paths import expanded

log = logging.getLogger(__name__)

TIME = pa.timestamp("us", tz="UTC")
STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Found:
    """The rows of a window.

    Attributes:
        table: The rows, file by file.
        unread: A message for each file that was not read, with its address.
    """

    table: pa.Table
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowLog:
    """A kind of log.

    Attributes:
        kind: Start of the files' names, such as requests.
        schema: The columns; one of them is `time`, of type `TIME`.
        version: Version of the columns, in the metadata of each file.
    """

    kind: str
    schema: pa.Schema
    version: int

    @property
    def key(self) -> bytes:
        """The name of the version in a file's metadata."""
        return f"seqline.{self.kind}.schema_version".encode()

    def table_of(self, rows: Sequence[Any]) -> pa.Table:
        """Returns rows as a table.

        Args:
            rows: Objects with an attribute for each column.
        """
        return pa.table({name: [getattr(row, name) for row in rows] for name in self.schema.names}, self.schema)

    def encoded(self, table: pa.Table) -> tuple[str, bytes]:
        """Returns the name and the content of a file.

        Args:
            table: Its rows, at least one, with the log's columns.
        """
        times = pc.min_max(table["time"]).as_py()
        name = f"{self.kind}-{times['min']:{STAMP}}-{times['max']:{STAMP}}-{secrets.token_hex(4)}.parquet"
        buffer = io.BytesIO()
        table = table.cast(self.schema).replace_schema_metadata({self.key: str(self.version)})
        # Every id is another one: to look for equal ones takes longer than all else.
        others = [name for name in self.schema.names if name not in ("id", "time")]
        pq.write_table(table, buffer, compression="zstd", use_dictionary=others)
        return name, buffer.getvalue()

    def write(self, folder: str | Path, table: pa.Table) -> str:
        """Writes one file, which appears whole and which its owner alone reads.

        Args:
            folder: A folder, also of a mounted bucket, or an address such as gs:// or s3://; made if missing.
            table: The rows, at least one, with the log's columns.

        Returns:
            The file's address.

        Raises:
            OSError: If it cannot be written.
        """
        name, content = self.encoded(table)
        if "://" in str(folder):
            files, root = open_folder(str(folder))
            files.pipe_file(f"{root}/{name}", content)  # a bucket shows an object once it is whole
            return f"{str(folder).rstrip('/')}/{name}"
        place = expanded(str(folder))
        make_private(place)
        write_private(place / name, content)
        return str(place / name)

    def write_rows(self, folder: str | Path, rows: Sequence[Any]) -> str:
        """Writes one file; see `write`.

        Args:
            folder: A folder or an address.
            rows: As in `table_of`, at least one.

        Returns:
            The file's address.
        """
        return self.write(folder, self.table_of(rows))

    def files(self, address: str | Path) -> list[str]:
        """Returns the names of the log's files in a folder or bucket, oldest first; none where there is no folder.

        Args:
            address: The folder's path or address.

        Raises:
            UserError: If the folder cannot be listed.
        """
        names = (self._span(name) for name in _names(str(address)))
        return [span.name for span in sorted(filter(None, names), key=lambda span: (span.last, span.name))]

    def read(
        self,
        address: str | Path,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> Found:
        """Reads the rows of a window. A file that cannot be read costs its own rows and a message.

        Args:
            address: The folder's path or address; one that is missing or empty has no rows.
            start: Start of the window; None for the first row.
            end: End of the window, which is not in it; None for the last row.
            columns: The columns to read; None for all.

        Raises:
            UserError: If the folder cannot be listed, or a time has no time zone.
        """
        for name, time in (("start", start), ("end", end)):
            if time is not None and time.tzinfo is None:
                raise UserError(f"the {name} of the window has no time zone: {time.isoformat()}; write it in UTC, as "
                                f"in {time.isoformat()}Z")  # fmt: skip
        wanted = list(self.schema.names if columns is None else columns)
        tables, unread = [pa.schema([self.schema.field(name) for name in wanted]).empty_table()], []
        for name in self.files(address):
            span = self._span(name)
            if span is None or not span.overlaps(start, end):
                continue
            try:
                table = self._read_file(str(address), name, start, end, wanted)
            except FileNotFoundError:  # deleted to stay within the size limit
                continue
            except UserError as error:
                log.warning("%s", error)
                unread.append(str(error))
                continue
            tables.append(table)
        return Found(pa.concat_tables(tables), tuple(unread))

    def find(self, address: str | Path, id_: str, columns: Sequence[str], newest: int) -> dict[str, Any] | None:
        """Returns the row with an id in the newest files; None if there is none. Files that cannot be read are skipped.

        Args:
            address: The folder's path or address.
            id_: The value of the column id.
            columns: The columns to return.
            newest: The number of files to look in.

        Raises:
            UserError: If the folder cannot be listed.
        """
        for name in reversed(self.files(address)[-newest:]):
            with suppress(FileNotFoundError, UserError):
                table = self._read_file(str(address), name, None, None, ["id", *columns])
                found = table.filter(pc.equal(table["id"], id_))
                if found.num_rows:
                    return dict(found.select(list(columns)).to_pylist()[0])
        return None

    def _read_file(
        self, address: str, name: str, start: datetime | None, end: datetime | None, wanted: list[str]
    ) -> pa.Table:
        path = f"{address.rstrip('/')}/{name}"
        try:
            file = pq.ParquetFile(io.BytesIO(_content(address, name)))
            version = (file.schema_arrow.metadata or {}).get(self.key, b"").decode("utf-8", "replace")
            if version != str(self.version):
                raise UserError(
                    f"{path} was skipped: its columns have version {version or 'none'}, and this Seqline reads "
                    f"{self.version}; read it with the version of Seqline that wrote it"
                )
            missing = [one for one in self.schema.names if one not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{path} was skipped: it has no column {missing[0]}; delete the file")
            table = file.read([*dict.fromkeys([*wanted, "time"])])
            whole = pa.schema([self.schema.field(one) for one in wanted])
            return _within(table, start, end).select(wanted).cast(whole).replace_schema_metadata(None)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            detail = f"{error}".partition("\n")[0] or type(error).__name__
            raise UserError(
                f"{path} was skipped: it is truncated, or is not a file of this log ({detail}); copy it again, or "
                "delete it"
            ) from None

    def _span(self, name: str) -> "_Span | None":
        found = re.fullmatch(rf"{self.kind}-(\d{{8}}T\d{{6}}Z)-(\d{{8}}T\d{{6}}Z)-[0-9a-f]+\.parquet", name)
        if not found:
            return None
        try:
            first, last = (datetime.strptime(text, STAMP).replace(tzinfo=timezone.utc) for text in found.groups())
        except ValueError:
            return None
        return _Span(name, first, last)


@dataclass(frozen=True)
class _Span:
    """A file and the seconds of its first and last row."""

    name: str
    first: datetime
    last: datetime

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        # The name has whole seconds.
        return (start is None or self.last + timedelta(seconds=1) > start) and (end is None or self.first < end)


def _within(table: pa.Table, start: datetime | None, end: datetime | None) -> pa.Table:
    inside = pc.is_valid(table["time"])
    if start is not None:
        inside = pc.and_(inside, pc.greater_equal(table["time"], pa.scalar(start, TIME)))
    if end is not None:
        inside = pc.and_(inside, pc.less(table["time"], pa.scalar(end, TIME)))
    return table.filter(inside)


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(timezone.utc)


def _names(address: str) -> Iterator[str]:
    if "://" not in address:
        folder = expanded(address)
        try:
            yield from patiently(lambda: [file.name for file in folder.iterdir()], folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{address} cannot be listed: {error.strerror or error}") from None
        return
    try:
        files, root = open_folder(address)
        for path in list_files(files, root):
            if path.rpartition("/")[0] == root:
                yield path.rpartition("/")[2]
    except FileNotFoundError:
        return
    except UserError:
        raise
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{address} cannot be listed: {error or type(error).__name__}") from error


def _content(address: str, name: str) -> bytes:
    if "://" not in address:
        file = expanded(address) / name
        return patiently(file.read_bytes, file)
    files, root = open_folder(address)
    try:
        return bytes(files.cat_file(f"{root}/{name}"))
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"{error or type(error).__name__}") from error
