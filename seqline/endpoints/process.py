"""Processes of a local endpoint and of stages: an isolated environment, and a file that identifies a running process.

Linux: a process's start time is in /proc.
"""

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import seqline
from seqline.atomic import atomic_write
from seqline.errors import UserError

CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns variables for a Python process in which no module of the user's folder shadows ours.

    Relative entries of PYTHONPATH are dropped, unless Seqline itself was imported from there. Python 3.10 ignores
    PYTHONSAFEPATH, so the process must also start in a folder without modules; other relative paths that it reads from
    variables are made absolute.

    Args:
        environment: The variables to start from.
    """
    variables = {**environment, "PYTHONSAFEPATH": "1"}
    if environment.get(CREDENTIALS):
        variables[CREDENTIALS] = str(Path(environment[CREDENTIALS]).absolute())
    path = os.pathsep.join(_absolute_entries(environment.get("PYTHONPATH", "")))
    if path:
        variables["PYTHONPATH"] = path
    else:
        variables.pop("PYTHONPATH", None)
    return variables


def _absolute_entries(path: str) -> Iterator[str]:
    ours = Path(seqline.__file__).resolve().parents[1]
    for entry in path.split(os.pathsep) if path else ():
        if Path(entry).is_absolute():
            yield entry
        elif Path(entry).resolve() == ours:
            yield str(ours)


def record(file: Path, pid: int) -> None:
    """Records a running process with its start time, so that a recycled number is not taken for it.

    Args:
        file: The file to write.
        pid: The process's number.
    """
    atomic_write(file, json.dumps({"pid": pid, "started": start_of(pid)}))


def recorded(file: Path) -> int | None:
    """Returns the number of the recorded process if that very process still runs.

    Args:
        file: From `record`.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        pid, started = int(fields["pid"]), str(fields["started"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return pid if started and started == start_of(pid) else None


def stop(file: Path, seconds: float) -> bool:
    """Stops the recorded process: SIGTERM first, then SIGKILL.

    Args:
        file: From `record`.
        seconds: Time to end after each signal.

    Returns:
        Whether it was running.

    Raises:
        UserError: If it is another user's.
    """
    pid = recorded(file)
    running = None if pid is None else _opened(pid, lambda: recorded(file) == pid)
    if running is None:
        return False
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(running, number)
            if _ended(running, seconds):
                break
    except ProcessLookupError:
        pass
    except PermissionError:
        raise UserError(f"process {pid} belongs to another user, who must stop it") from None
    finally:
        os.close(running)
    file.unlink(missing_ok=True)
    return True


def interrupt(pid: int, started: str) -> None:
    """Interrupts a process as Ctrl-C does, unless it has ended.

    Args:
        pid: Its number.
        started: Its start, from `start_of`.
    """
    running = _opened(pid, lambda: start_of(pid) == started)
    if running is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(running, signal.SIGINT)
        os.close(running)


def _opened(pid: int, is_it: Callable[[], bool]) -> int | None:
    """A descriptor of a process, or None if it has ended. Unlike its number, it never refers to another one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if is_it():
        return descriptor
    os.close(descriptor)
    return None


def _ended(descriptor: int, seconds: float) -> bool:
    """Waits for the end of a process; also a child of ours that nobody has waited for has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def start_of(pid: int) -> str:
    """Returns a process's start: the machine's boot id and clock ticks since; empty if the process is gone.

    Args:
        pid: Its number.
    """
    try:
        # proc(5): the command's name, in parentheses, may contain anything; state and start are fields 3 and 22.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"
