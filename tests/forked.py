"""Processes that are forked from one that has imported TensorFlow: the import takes longer than what they do.

Tests that use them are in one group of pytest-xdist, `FORKED`, as every worker would have a process of its own.
"""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from seqline.children import PR_SET_PDEATHSIG

FORKED = pytest.mark.xdist_group("forked")


def start(log: Path, function: Callable[..., Any], *arguments: Any, **environment: str) -> BaseProcess:
    """Calls a function of a module in a process.

    Args:
        log: The file that its output is appended to.
        function: The function.
        arguments: Its arguments.
        environment: Variables in addition to those of this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "tensorflow_text"])
    process = context.Process(target=_call, args=(log, {**os.environ, **environment}, function, arguments))
    process.start()
    return process


def exit_code(process: BaseProcess, seconds: float = 300) -> int | None:
    """Waits for the exit code of a process: negative for a signal, None if it is killed because its time is up."""
    process.join(seconds)
    code = process.exitcode
    if code is None:
        process.kill()
    return code


def _call(log: Path, environment: dict[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # The server ends with the test's process.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(output, standard)
    function(*arguments)
