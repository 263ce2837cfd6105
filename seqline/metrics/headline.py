"""The metric that a run is judged by first."""

from collections.abc import Iterable

from seqline.metrics.metrics import HEADLINES


def headline_of(task: str, measured: Iterable[str]) -> str:
    """Returns the name of the task's main metric.

    Args:
        task: The task; empty if it is not known.
        measured: Names of the metrics that were measured.

    Returns:
        The name; without a task that of the first metric that is the main one of any task; empty if there is none.
    """
    found = list(measured)
    if HEADLINES.get(task) in found:
        return HEADLINES[task]
    return next((name for name in found if name in HEADLINES.values()), "")
