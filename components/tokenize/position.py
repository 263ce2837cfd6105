"""How far tokenize is: records of what its steps count."""

import time
from collections.abc import Callable, Mapping

from seqline.progress import Progress


class Position:
    """Makes records from the counts of all processes.

    Args:
        clock: The time in seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started: dict[str, float] = {}

    def __call__(self, counts: Mapping[str, int]) -> Progress | None:
        """Returns the record of the step that runs; None before the first.

        Args:
            counts: The sums by name.
        """
        # A step begins when the one before has ended.
        if counts.get("encoded_pairs"):
            done, total = counts["encoded_pairs"], counts.get("split_pairs", 0)
            return Progress.of_amount("encoding", done, max(done, total), "pairs", self._seconds("encoding"))
        if counts.get("tokenizers"):
            return Progress("training the tokenizer")
        if counts.get("split_pairs"):
            return Progress.of_amount(
                "splitting", counts["split_pairs"], counts.get("clean_pairs", 0), "pairs", self._seconds("splitting")
            )
        if not counts.get("blocks"):
            return None
        seconds, rows = self._seconds("cleaning"), counts.get("rows", 0)
        share = counts.get("clean_blocks", 0) / counts["blocks"]
        return Progress(
            f"cleaning ({share:.0%}), {rows:,} rows",
            share,
            rate=rows / seconds if seconds > 0 else 0.0,
            unit="rows",
            seconds_left=seconds * (1 - share) / share if share and seconds else None,
        )

    def _seconds(self, step: str) -> float:
        now = self.clock()
        return now - self.started.setdefault(step, now)
