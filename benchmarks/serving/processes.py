"""Ports and child processes of the servers under test."""

import os
import socket
from pathlib import Path


def free_port() -> int:
    """Returns a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(pid: int) -> list[int]:
    """Returns the child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a process and of its child processes."""
    fields = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in (pid, *children(pid)))
    return sum(int(found[11]) + int(found[12]) for found in fields) / os.sysconf("SC_CLK_TCK")
