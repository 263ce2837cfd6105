"""The process that computes the rows of sampled answers and writes their files, beside the server.

In the server's process, a thread of it would keep the event loop waiting for the interpreter. Here it runs when no
other process of the machine has work (Linux's SCHED_IDLE), so that it delays no answer. If it falls behind, it runs
like any other process until it has caught up. It ends when the server's end of the socket closes, even if the server
was killed, once all that it has received is written. The messages, by `seqline.serving.row_messages`:

    server:  {"share": 0.1, "texts": False, ...}, the fields of Sampling
    server:  {"answers": [(...)], "feedback": [(...)], "models": {"1": "/models/1"}, "behind": False}
    writer:  {"sampled": {"1": 512}, "settled": {"write": 10000}, "lost": {}}, when there is something to report
"""

import argparse
import os
import select
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seqline.endpoints.sampling import Sampling
from seqline.quick_imports import quick_imports
from seqline.serving.logs import log_to_stderr
from seqline.serving.row_messages import receive, send

if TYPE_CHECKING:
    from seqline.sampling.rows import Rows

TICK = 1.0
"""Seconds between two looks at which files are due."""
NICE = 10
"""While it imports what it needs, which it does beside the start of the server; and where there is no idle class."""


def main(arguments: list[str] | None = None) -> int:
    """Writes rows until the server closes the socket.

    Args:
        arguments: The command line from `seqline.serving.row_process`.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m seqline.serving.row_writer")
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the socket to the server")
    options = parser.parse_args(arguments)
    log_to_stderr()
    # The server decides when it ends: what it has received must be written first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Otherwise tokenizers takes all cores, which the model needs.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    server = socket.socket(fileno=options.socket)
    settings = receive(server)
    if settings is None:
        return 0
    # The scheduling class is that of a thread, and without privileges a thread cannot leave the idle one: this thread
    # never enters it, and does what is urgent.
    idle = ThreadPoolExecutor(1, "idle", initializer=os.nice, initargs=(NICE,))
    rows = idle.submit(_rows, Sampling(**settings)).result()
    while True:
        message = receive(server) if select.select([server], [], [], TICK)[0] else {}
        if message is None:
            break
        if message.get("behind"):
            _handle(rows, message)
        else:
            idle.submit(_handle, rows, message).result()
        _report(server, rows)
    rows.finish()
    _report(server, rows)
    return 0


def _rows(settings: Sampling) -> "Rows":
    with quick_imports():
        from seqline.sampling.rows import Rows
    rows = Rows(settings)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return rows


def _handle(rows: "Rows", message: dict[str, Any]) -> None:
    if message:
        rows.add(message["answers"], message["models"])
        for given in message["feedback"]:
            rows.add_feedback(given)
    rows.tick()


def _report(server: socket.socket, rows: "Rows") -> None:
    report = rows.report()
    if report:
        with suppress(OSError):  # the server was killed
            send(server, report)


if __name__ == "__main__":
    sys.exit(main())
