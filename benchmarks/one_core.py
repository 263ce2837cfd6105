"""Running a function in a process of its own, on one core."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def on_core(core: int, function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a new process on a core; it leaves no memory or threads behind.

    Args:
        core: Number of the core.
        function: A function of a module.
        *arguments: Its arguments.

    Returns:
        Its result.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, os.sched_setaffinity, (0, {core})) as process:
        return process.submit(function, *arguments).result()
