"""Threads that run a model's batches: each runs whole batches, on its share of the cores.

The search of a batch runs in one thread between its matrix products, so one batch leaves cores idle. Several batches
whose products use one thread each fill the cores, and do not wait for each other's products as threads of one do.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from seqline.accelerators import DRIVER
from seqline.cores import usable_cores
from seqline.lean_tensorflow import set_threads

# Each takes the memory of a batch.
MOST_AT_ONCE = 4


def batches_at_once() -> int:
    """The number of batches that run at a time."""
    return min(MOST_AT_ONCE, usable_cores())


def share_cores(number: int | None = None) -> None:
    """Gives the operations of each batch its share of the cores.

    It has no effect on a machine with a GPU, or once TensorFlow has computed anything.

    Args:
        number: Of batches, or parts of one, that are computed at the same time; by default `batches_at_once`.
    """
    if DRIVER.exists():
        return
    threads = number or batches_at_once()
    with suppress(RuntimeError):  # TensorFlow has started
        set_threads(-(-usable_cores() // threads), threads)


@contextmanager
def batch_threads(number: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Starts the threads; after an error, batches that have not begun are dropped.

    Args:
        number: Of threads; by default `batches_at_once`.

    Yields:
        The threads, which take batches in the order in which they are given.
    """
    threads = ThreadPoolExecutor(number or batches_at_once(), "batches")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
