"""Runs a command and watches it: wall time, and the most memory that all of its processes held at once."""

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
    """What a command took.

    Attributes:
        seconds: Wall time, start of Python included.
        peak: Bytes: proportional set size of all its processes, at the most.
        said: What it printed as its last line, parsed as JSON; None if that is no JSON.
    """

    seconds: float
    peak: int
    said: Any


def measure(command: list[str]) -> Measured:
    """Runs a command to its end.

    Args:
        command: Program and arguments.

    Raises:
        UserError: It failed.
    """
    peak, done = [0], threading.Event()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done), daemon=True)
        watcher.start()
        code = process.wait()
        seconds = time.monotonic() - start
        done.set()
        watcher.join()
        output.seek(0)
        errors.seek(0)
        if code:
            raise UserError(f"{' '.join(command[:3])} failed:\n{errors.read()[-4000:]}")
        lines = output.read().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else None
    except ValueError:
        said = None
    print(f"{seconds:7.1f} s  {peak[0] >> 20:6} MiB  {' '.join(command[1:4])}", file=sys.stderr, flush=True)
    return Measured(seconds, peak[0], said)


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
    """Private memory and the process's part of what it shares; mapped files on disk are no memory it needs."""
    sizes = dict(
        line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:] if line.startswith("Pss_")
    )
    return sum(int(sizes[name].split()[0]) * 1024 for name in ("Pss_Anon", "Pss_Shmem") if name in sizes)
