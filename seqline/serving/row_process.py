"""The server's side of the process that writes samples: starts it, sends it rows, and starts it again if it ends."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqline.endpoints.sampling import Sampling
from seqline.serving.metrics import Metrics
from seqline.serving.row_messages import receive, send

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT, STABLE_SECONDS = 1.0, 60.0, 60.0
"""Seconds before a restart: doubled for each, and reset after the process has run for STABLE_SECONDS."""


class RowProcess:
    """The process. All methods are for one thread.

    Args:
        settings: What is sampled.
        metrics: The server's metrics, which count what the process reports, and what is lost if it is killed.
    """

    def __init__(self, settings: Sampling, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._lock = threading.Lock()
        # Rows that were sent, and neither written nor counted as lost.
        self._unsettled: Counter[str] = Counter()
        self._running = self._closing = False
        self._wait, self._again = FIRST_WAIT, 0.0
        self._start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def is_ready(self, urgent: bool = False) -> bool:
        """Whether the process takes rows; starts it again if it has ended a while ago.

        Args:
            urgent: Whether to start it without waiting.
        """
        if not self._running and not self._closing and (urgent or time.monotonic() >= self._again):
            try:
                self._start()
            except OSError as error:
                self._postpone()
                log.error("the process that writes samples cannot be started: %s", error.strerror or error)
        return self._running

    def send(self, message: Mapping[str, Any], rows: Mapping[str, int]) -> None:
        """Sends rows; waits while the process is behind. If the process ends, they are counted as lost.

        Args:
            message: See `seqline.serving.row_writer`.
            rows: The number of rows in the message, by the reason of `seqline_sample_drops_total` if they are lost.
        """
        with self._lock:
            self._unsettled.update(rows)
        try:
            send(self._connection, dict(message))
        except OSError:
            self._reader.join()
            self._lose()  # what was sent after its end

    def close(self, seconds: float) -> None:
        """Waits until all rows are written, and ends the process.

        Args:
            seconds: Time for that; then the process is killed.
        """
        self._closing = True
        if self._running:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            _leave_idle_class(self.pid)
        self._reader.join(seconds)
        if self._reader.is_alive():
            log.error("the samples were not written to %s within %g s", self._settings.folder, seconds)
            self._process.kill()
            self._reader.join()
        self._connection.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "seqline.serving.row_writer", "--socket", str(theirs.fileno())]
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._connection, self._running, self._started = ours, True, time.monotonic()
        with suppress(OSError):  # it has ended, which the reader finds
            send(ours, asdict(self._settings))
        self._reader = threading.Thread(target=self._read, name="samples-reports", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while report := receive(self._connection):
            self._count(report)
        code = self._process.wait()
        lost = self._lose()
        if code or not self._closing:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            again = "" if self._closing else "; starting it again"
            log.error("the process that writes samples %s; %d rows are lost%s", ended, lost, again)
        if time.monotonic() - self._started > STABLE_SECONDS:
            self._wait = FIRST_WAIT
        self._postpone()
        self._running = False

    def _postpone(self) -> None:
        self._again = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _count(self, report: dict[str, Any]) -> None:
        for version, count in report.get("sampled", {}).items():
            self._metrics.sampled.labels(version).inc(count)
        with self._lock:
            self._unsettled.subtract(report.get("settled", {}))
        for reason, count in report.get("lost", {}).items():
            self._metrics.sample_drops.labels(reason).inc(count)

    def _lose(self) -> int:
        with self._lock:
            lost, self._unsettled = +self._unsettled, Counter()
        for reason, count in lost.items():
            self._metrics.sample_drops.labels(reason).inc(count)
        return lost.total()


def _leave_idle_class(pid: int) -> None:
    """Lets a process that must end soon run like others, where that is allowed."""
    if not hasattr(os, "sched_setscheduler"):
        return
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
