"""The time of a call. Needs only the standard library."""

import time
from collections.abc import Callable
from typing import Any


def fastest(call: Callable[[], Any], passes: int) -> float:
    """Returns the seconds of the fastest of several calls, after one that does not count.

    Args:
        call: What is measured.
        passes: Number of calls.
    """
    call()
    best = float("inf")
    for _ in range(passes):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
