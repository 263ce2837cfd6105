"""Measures a command: wall time, and the peak memory of all its processes together."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from seqline.errors import UserError


class Measured(NamedTuple):
    """The measurements of a command.

    Attributes:
        seconds: Wall time, with the start of Python.
        peak: Peak proportional set size of all its processes, in bytes.
        output: The last line of its output, parsed as JSON; None if it is not JSON.
    """

    seconds: float
    peak: int
    output: Any


def measure(command: list[str]) -> Measured:
    """Runs a command and measures it.

    Args:
        command: Program and arguments.

    Raises:
        UserError: If it fails.
    """
    peak, done = [0], threading.Event()
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, start_new_session=True)
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done), daemon=True)
        watcher.start()
        code = process.wait()
        seconds = time.monotonic() - start
        done.set()
        watcher.join()
        stdout.seek(0)
        stderr.seek(0)
        if code:
            raise UserError(f"{' '.join(command[:3])} failed:\n{stderr.read()[-4000:]}")
        lines = stdout.read().splitlines()
    try:
        output = json.loads(lines[-1]) if lines else None
    except ValueError:
        output = None
    print(f"{seconds:7.1f} s  {peak[0] >> 20:6} MiB  {' '.join(command[1:4])}", file=sys.stderr, flush=True)
    return Measured(seconds, peak[0], output)


def _watch(session: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.25):
        total = 0
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if os.getsid(int(folder.name)) == session:
                        total += _proportional(folder)
                except (OSError, ValueError):
                    continue
        peak[0] = max(peak[0], total)


def _proportional(folder: Path) -> int:
    """Private memory and the share of shared memory, in bytes; mapped files do not count."""
    sizes = dict(
        line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:] if line.startswith("Pss_")
    )
    return sum(int(sizes[name].split()[0]) * 1024 for name in ("Pss_Anon", "Pss_Shmem") if name in sizes)
