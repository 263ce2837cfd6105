"""Writes rows to a log whose files rotate and whose size is bounded."""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqline.artifacts.row_log import RowLog
from seqline.inputs.storage import list_files, open_folder
from seqline.paths import expanded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rotation:
    """When a file is written, and how large the log may be.

    Attributes:
        rows: Largest number of rows in a file.
        characters: Largest number of characters of a file's texts.
        seconds: Longest time that a row waits for its file.
        total_bytes: Largest size of all files; beyond it the oldest are deleted.
        waiting: Largest number of files that wait while the folder cannot be written.
        pause: Seconds before the next attempt to write, doubled each time up to a minute.
    """

    rows: int = 10_000
    characters: int = 16_000_000
    seconds: float = 60.0
    total_bytes: int = 1_000_000_000
    waiting: int = 8
    pause: float = 1.0


class RotatingLog:
    """Collects rows, and writes them to files of a log. For one thread.

    Args:
        kind: The log.
        folder: The folder's path or address; it is made private when it is missing.
        rotation: When a file is written.
        dropped: Called with the number of rows that are lost, because the folder cannot be written.
        clock: Seconds that only rise.
        written: Called with the number of rows that a file has got.
    """

    def __init__(
        self,
        kind: RowLog,
        folder: str,
        rotation: Rotation = Rotation(),
        dropped: Callable[[int], None] = lambda rows: None,
        clock: Callable[[], float] = time.monotonic,
        written: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.kind, self.folder, self.rotation = kind, folder, rotation
        self._dropped, self._clock, self._written = dropped, clock, written
        self._tables: list[pa.Table] = []
        self._rows, self._characters, self._since = 0, 0, 0.0
        self._waiting: deque[pa.Table] = deque()
        self._again, self._pause = 0.0, rotation.pause

    def add(self, table: pa.Table, characters: int = 0) -> None:
        """Adds rows.

        Args:
            table: The rows, with the log's columns.
            characters: The number of characters of their texts.
        """
        if table.num_rows:
            if not self._tables:
                self._since = self._clock()
            self._tables.append(table)
        self._rows += table.num_rows
        self._characters += characters
        self.tick()

    def tick(self) -> None:
        """Writes what is due."""
        limits = self.rotation
        full = self._rows >= limits.rows or self._characters >= limits.characters
        if self._rows and (full or self._clock() - self._since >= limits.seconds):
            self._close_file()
        if self._waiting and self._clock() >= self._again:
            self._write_waiting()

    def flush(self) -> None:
        """Writes all rows now, also those of a file that could not be written before."""
        if self._rows:
            self._close_file()
        self._write_waiting()

    def lose(self) -> None:
        """Counts the rows that are left as dropped: the process ends."""
        left = self._rows + sum(table.num_rows for table in self._waiting)
        if left:
            log.error("%d rows of %s are lost: %s could not be written", left, self.kind.kind, self.folder)
            self._dropped(left)

    def _close_file(self) -> None:
        self._waiting.append(pa.concat_tables(self._tables))
        self._tables, self._rows, self._characters = [], 0, 0
        if len(self._waiting) > self.rotation.waiting:
            self._dropped(self._waiting.popleft().num_rows)

    def _write_waiting(self) -> None:
        try:
            while self._waiting:
                self.kind.write(self.folder, self._waiting[0])
                self._written(self._waiting.popleft().num_rows)
        except Exception as error:  # every file system has its own errors
            self._again = self._clock() + self._pause
            log.warning(
                "%s cannot be written (%s); trying again in %g s",
                self.folder, error or type(error).__name__, self._pause,
            )  # fmt: skip
            self._pause = min(2 * self._pause, 60.0)
            return
        self._pause = self.rotation.pause
        try:
            self._delete_oldest()
        except Exception as error:
            log.warning("old files of %s cannot be deleted: %s", self.folder, error or type(error).__name__)

    def _delete_oldest(self) -> None:
        sizes = _sizes(self.folder)
        names = [name for name in self.kind.files(self.folder) if name in sizes]
        total = sum(sizes[name] for name in names)
        # The newest file stays, however large it is.
        for name in names[:-1]:
            if total <= self.rotation.total_bytes:
                return
            _delete(self.folder, name)
            total -= sizes[name]
            log.info("deleted %s, the oldest file, to stay within the size limit", name)


def _sizes(folder: str) -> dict[str, int]:
    if "://" not in folder:
        found = {}
        for file in expanded(folder).iterdir():
            with suppress(FileNotFoundError):  # another process deletes it
                found[file.name] = file.stat().st_size
        return found
    files, root = open_folder(folder)
    return {path.rpartition("/")[2]: int(one.get("size") or 0) for path, one in list_files(files, root).items()}


def _delete(folder: str, name: str) -> Any:
    if "://" not in folder:
        return Path(expanded(folder) / name).unlink(missing_ok=True)
    files, root = open_folder(folder)
    with suppress(FileNotFoundError):
        files.rm_file(f"{root}/{name}")
    return None
