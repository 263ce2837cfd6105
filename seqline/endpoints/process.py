"""A server's process, noted in a file together with its start, so that a recycled number is not taken for it.

Standard library only. Linux: a process's start is in /proc.
"""

import json
import os
import signal
import time
from pathlib import Path

from seqline.atomic import atomic_write
from seqline.errors import UserError


def note(file: Path, pid: int) -> None:
    """Notes a running process.

    Args:
        file: Where.
        pid: Its number.
    """
    atomic_write(file, json.dumps({"pid": pid, "started": _started(pid)}))


def noted(file: Path) -> int | None:
    """Returns the number of the process that was noted, if that very process still runs.

    Args:
        file: Where it was noted.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        pid, started = int(fields["pid"]), str(fields["started"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return pid if started and started == _started(pid) else None


def stop(file: Path, seconds: float) -> bool:
    """Stops the process that was noted: SIGTERM, and SIGKILL if that is not enough.

    Args:
        file: Where it was noted.
        seconds: How long it may take to end by itself.

    Returns:
        Whether it was running.

    Raises:
        UserError: If it is another user's.
    """
    pid = noted(file)
    if pid is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        except PermissionError:
            raise UserError(f"process {pid} belongs to another user, who has to stop it") from None
        deadline = time.monotonic() + seconds
        while noted(file) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
        if noted(file) != pid:
            break
    file.unlink(missing_ok=True)
    return True


def _started(pid: int) -> str:
    """When a process started: which boot of the machine, and clock ticks since; empty where it is gone."""
    try:
        # proc(5): the command's name, in parentheses, may hold anything; state and start are fields 3 and 22.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"
