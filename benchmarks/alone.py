"""Running a function in a process of its own."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def alone(function: Callable[..., Result], *arguments: Any, core: int | None = None) -> Result:
    """Calls a function in a new process; it leaves no memory or threads behind.

    Args:
        function: A function of a module.
        *arguments: Its arguments.
        core: Number of the core that the process runs on; None for all.

    Returns:
        Its result.
    """
    cores = os.sched_getaffinity(0) if core is None else {core}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, os.sched_setaffinity, (0, cores)) as process:
        return process.submit(function, *arguments).result()
