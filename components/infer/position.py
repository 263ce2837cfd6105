"""How far batch inference is: records of what its steps count."""

import time
from collections.abc import Callable, Mapping

from seqline.progress import Progress


class Position:
    """Makes records from the counts.

    Args:
        remaining: Number of shards to predict.
        total: Number of shards, finished ones included.
        size: Bytes of the shards to predict.
        clock: The time in seconds, from any start.
    """

    def __init__(self, remaining: int, total: int, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.finished, self.total, self.size = total - remaining, total, size
        self.clock, self.start = clock, clock()

    def __call__(self, counts: Mapping[str, int]) -> Progress | None:
        """Returns the record; None before the first texts.

        Args:
            counts: The sums by name.
        """
        if not counts.get("predicted_texts"):
            return None
        seconds = self.clock() - self.start
        share = counts.get("written_bytes", 0) / self.size if self.size else 0.0
        return Progress(
            f"{self.finished + counts.get('written_shards', 0)} of {self.total} shards",
            share,
            rate=counts["predicted_texts"] / seconds if seconds > 0 else 0.0,
            unit="texts",
            seconds_left=seconds * (1 - share) / share if share else None,
        )
