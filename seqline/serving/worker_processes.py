"""Starts the processes of workers, the first one early: TensorFlow's import takes most of a server's start."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

_early: list[tuple["subprocess.Popen[bytes]", socket.socket]] = []


@contextlib.contextmanager
def one_early() -> Iterator[None]:
    """Starts a worker, whose imports run beside those of the block; ends with it unless `take` has returned it."""
    _early.append(_start())
    try:
        yield
    finally:
        while _early:
            process, ours = _early.pop()
            ours.close()
            process.kill()
            process.wait()


def take() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """A worker that waits for its model, and the server's end of its socket."""
    while _early:
        process, ours = _early.pop()
        if process.poll() is None:
            return process, ours
        ours.close()
    return _start()


def _start() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "seqline.serving.worker", "--socket", str(theirs.fileno())]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "PYTHONSAFEPATH": "1"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=environment)
    return process, ours
