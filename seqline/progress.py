"""How far a stage is, for whoever watches its run.

A stage calls `report`; on a laptop, the run names a folder in the variable SEQLINE_PROGRESS, where the newest record is
`progress.json`. In our images the variable is `log`: records are lines of the stage's log that begin with `PREFIX`.
Without the variable, nothing is recorded. No error of this module reaches a stage.
"""

import contextlib
import json
import logging
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

log = logging.getLogger(__name__)

VARIABLE = "SEQLINE_PROGRESS"
LOG = "log"
COUNTS = "SEQLINE_PROGRESS_COUNTS"
FILE = "progress.json"
PREFIX = "seqline-progress "
FILE_SECONDS, LOG_SECONDS, POLL_SECONDS = 1.0, 15.0, 1.0


@dataclass(frozen=True)
class Progress:
    """A record.

    Attributes:
        text: The position, such as `epoch 3 of 7`.
        share: Share of the stage that is done, from 0 to 1; None if it is unknown.
        values: Numbers to show, by name, such as the loss.
        rate: Amount a second; 0 if it is unknown.
        unit: Unit of the amount, such as `tokens`.
        seconds_left: Estimated time to the end of the stage; None if it is unknown.
    """

    text: str
    share: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    rate: float = 0.0
    unit: str = ""
    seconds_left: float | None = None

    @classmethod
    def of_amount(cls, doing: str, done: float, total: float, unit: str, seconds: float) -> "Progress":
        """Returns the record of work whose amount is known.

        Args:
            doing: What is done, such as `cleaning`.
            done: The amount that is done.
            total: The whole amount.
            unit: Its unit.
            seconds: The time that `done` took.
        """
        rate = done / seconds if seconds > 0 else 0.0
        left = (total - done) / rate if rate else None
        share = min(done / total, 1.0) if total else None
        return cls(f"{doing} {number(done)} of {number(total)} {unit}", share, {}, rate, unit, left)

    @classmethod
    def read(cls, text: str) -> "Progress | None":
        """Reads a record; None if the text is not one.

        Args:
            text: From `write`.
        """
        try:
            content = json.loads(text)
            return cls(**{name: content[name] for name in cls.__dataclass_fields__ if name in content})
        except (ValueError, TypeError):
            return None

    def write(self) -> str:
        """Returns the record as one line; numbers that JSON does not have are left out."""
        content = asdict(self)
        content["values"] = {name: value for name, value in content["values"].items() if math.isfinite(value)}
        for name in ("share", "rate", "seconds_left"):
            if content[name] is not None and not math.isfinite(content[name]):
                content[name] = 0.0 if name == "rate" else None
        return json.dumps(content, ensure_ascii=False)

    def __str__(self) -> str:
        """Returns the record for people, such as `epoch 3 of 7, loss 2.31, 12,300 tokens/s, 2 min left`."""
        parts = [self.text, *(f"{name} {value:.4g}" for name, value in self.values.items())]
        parts += [f"{number(self.rate)} {self.unit}/s"] if self.rate else []
        parts += [f"{duration(self.seconds_left)} left"] if self.seconds_left is not None else []
        return ", ".join(parts)


def number(value: float) -> str:
    """Returns an amount for people: whole from 10 on.

    Args:
        value: The amount.
    """
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Returns a time for people, such as `40 s`, `12 min` or `3 h 5 min`.

    Args:
        seconds: The time.
    """
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Reporter:
    """Writes records, at most one a second into a file and four a minute into the log.

    Args:
        where: A folder, `LOG`, or empty to write nothing.
        clock: The time in seconds, from any start.
    """

    def __init__(self, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.where, self.clock = where, clock
        self.seconds = LOG_SECONDS if where == LOG else FILE_SECONDS
        self.last = -math.inf

    def due(self) -> bool:
        """Whether the next record would be written."""
        return bool(self.where) and self.clock() - self.last >= self.seconds

    def report(self, progress: Progress) -> None:
        """Writes a record, if it is due.

        Args:
            progress: The record.
        """
        if not self.due():
            return
        self.last = self.clock()
        try:
            if self.where == LOG:
                print(PREFIX + progress.write(), file=sys.stderr, flush=True)
            else:
                _write(Path(self.where) / FILE, progress.write())
        except Exception:
            self.where = ""  # the stage goes on; whoever watches sees its last record
            log.debug("progress cannot be written", exc_info=True)


_reporters: dict[str, Reporter] = {}


def _reporter() -> Reporter:
    where = os.environ.get(VARIABLE, "")
    return _reporters.setdefault(where, Reporter(where))


def report(make: Callable[[], Progress]) -> None:
    """Reports how far this stage is; to be called as often as is convenient.

    Args:
        make: Makes the record, when one is due.
    """
    reporter = _reporter()
    if reporter.due():
        with contextlib.suppress(Exception):
            reporter.report(make())


class _Counts:
    """What this process has counted, in a file of its own."""

    def __init__(self) -> None:
        self.lock, self.totals, self.folder, self.last = threading.Lock(), Counter[str](), "", -math.inf

    def add(self, folder: str, amounts: Mapping[str, int]) -> None:
        with self.lock:
            if folder != self.folder:
                self.totals, self.folder, self.last = Counter(), folder, -math.inf
            self.totals.update(amounts)
            now = time.monotonic()
            if now - self.last >= FILE_SECONDS / 2:
                self.last = now
                _write(Path(folder) / f"{os.getpid()}.json", json.dumps(self.totals))


_counts = _Counts()


def count(**amounts: int) -> None:
    """Counts work: in Beam's metrics, which Dataflow's page shows, and on the stage's own machine for `counting`.

    Args:
        **amounts: What was done since the last call, by name.
    """
    with contextlib.suppress(Exception):
        if beam := sys.modules.get("apache_beam.metrics"):
            for name, amount in amounts.items():
                beam.Metrics.counter("seqline", name).inc(amount)
        if folder := os.environ.get(COUNTS):
            _counts.add(folder, amounts)


@contextlib.contextmanager
def counting(make: Callable[[Mapping[str, int]], Progress | None]) -> Iterator[None]:
    """Within the block, reports what all processes of the stage `count`.

    Args:
        make: Makes a record of the sums by name; None before there is anything to report.
    """
    reporter = _reporter()
    if not reporter.where:
        yield
        return
    ended = threading.Event()
    with TemporaryDirectory(prefix="progress.", ignore_cleanup_errors=True) as folder:

        def look() -> None:
            with contextlib.suppress(Exception):
                if progress := make(_sums(Path(folder))):
                    reporter.report(progress)

        def follow() -> None:
            while not ended.wait(POLL_SECONDS):
                look()

        before, os.environ[COUNTS] = os.environ.get(COUNTS), folder
        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            look()
            if before is None:
                del os.environ[COUNTS]
            else:
                os.environ[COUNTS] = before


def _sums(folder: Path) -> Counter[str]:
    total: Counter[str] = Counter()
    for file in folder.glob("*.json"):
        total.update(json.loads(file.read_text(encoding="utf-8")))
    return total


def newest(folder: Path) -> Progress | None:
    """Reads the newest record of a folder; None if there is none.

    Args:
        folder: The value of SEQLINE_PROGRESS.
    """
    try:
        return Progress.read((folder / FILE).read_text(encoding="utf-8"))
    except OSError:
        return None


def last_of(lines: Iterable[str]) -> Progress | None:
    """Finds the last record in the lines of a log; None if there is none.

    Args:
        lines: The lines; text before the record, such as a time, is skipped.
    """
    found = None
    for line in lines:
        if is_record(line):
            found = Progress.read(line.partition(PREFIX)[2]) or found
    return found


def is_record(line: Any) -> bool:
    """Whether a line of a log is a record.

    Args:
        line: The line.
    """
    return PREFIX in str(line)


def _write(path: Path, text: str) -> None:
    """Writes a file that readers see whole; unlike `atomic_write`, without waiting for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
