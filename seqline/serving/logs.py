"""Structured logs: one JSON object a line, with the field names of Cloud Logging; a file of them is rotated."""

import datetime
import fcntl
import json
import logging
import os
import shutil
import sys
from pathlib import Path

# Size of server.log, and number of older files: server.log.1 is the latest of them.
LARGEST_BYTES, OLDER_FILES = 5_000_000, 3


class JsonFormatter(logging.Formatter):
    """Formats a record as `{"time", "severity", "message", ...}`; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class RotatedStderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr; if that is a file, rotates it.

    The supervisor, the server and its workers have the same file open, so it cannot be renamed: its content is copied,
    and the file emptied. All of them append, so they go on at the new end.

    Args:
        file: The file that stderr may be redirected to.
        largest: Size in bytes at which it is rotated.
    """

    def __init__(self, file: Path, largest: int = LARGEST_BYTES) -> None:
        super().__init__(sys.stderr)
        self._file, self._largest = file, largest

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        super().emit(record)
        try:
            rotate(self._file, self._largest)
        except OSError:
            self.handleError(record)  # such as a full disk


def rotate(file: Path, largest: int) -> None:
    """Rotates a log file that is stderr of this process, once it is large.

    Args:
        file: The file. Its older content is in FILE.1, FILE.2 and so on.
        largest: Size in bytes at which it is rotated.
    """
    ours = os.fstat(2)
    if ours.st_size <= largest:
        return
    appends = fcntl.fcntl(2, fcntl.F_GETFL) & os.O_APPEND
    if not appends or not file.is_file() or not os.path.samestat(ours, file.stat()):
        return  # a terminal, a pipe or another file
    with file.open("r+b") as content:
        try:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process rotates it
        if os.fstat(content.fileno()).st_size <= largest:
            return
        copy = _older(file, 0)
        with copy.open("wb") as older:
            shutil.copyfileobj(content, older, 2**20)
        content.truncate(0)
    for number in reversed(range(OLDER_FILES)):
        if _older(file, number).exists():
            _older(file, number).replace(_older(file, number + 1))


def log_to_stderr(rotated: Path | None = None) -> None:
    """Logs INFO and above to stderr as JSON.

    Args:
        rotated: The file that stderr may be redirected to, which is then rotated.
    """
    handler = RotatedStderr(rotated) if rotated else logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _older(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")
