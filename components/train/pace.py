"""How far a training is within its epochs and minutes, which decides the learning rate."""

import math
from typing import Any

from seqline.components.train.options import Options
from seqline.components.train.schedules import Schedule
from seqline.schema.auto import number


class Pace:
    """Counts batches and time, and computes the learning rate of the next batch.

    All workers count the chief's time, so that all have the same rate.

    Args:
        options: Options of training.
        epoch_batches: Batches in an epoch.
        slow_batches: First batches that take longer, because they are traced or compiled.
    """

    def __init__(self, options: Options, epoch_batches: int, slow_batches: int = 1) -> None:
        self.limit, self.epoch_batches, self.slow_batches = options.minutes * 60, epoch_batches, slow_batches
        self.accumulated = options.gradient_accumulation_steps
        updates = options.epochs * epoch_batches // self.accumulated
        warmup = number(options.warmup_steps)
        self.schedule = Schedule(options.lr_schedule, options.learning_rate, warmup, updates)
        self.batches, self.time_share, self.expected = 0, 0.0, math.inf
        self.measured_batches, self.measured_seconds = 0, 0.0
        self.corrected = False

    def end_epoch(self, batches: int, left: int) -> None:
        """Corrects the number of updates after an epoch whose length was not known before.

        Args:
            batches: Batches that the epoch had; each of those that remain is expected to have as many.
            left: Epochs that remain.
        """
        self.corrected, self.epoch_batches = True, batches
        self.schedule.updates = (self.batches + left * batches) // self.accumulated

    def advance(self, seconds: float, elapsed: float, validation_seconds: float) -> None:
        """Counts a batch.

        Args:
            seconds: Its time.
            elapsed: The time of the whole training so far.
            validation_seconds: The time that is reserved for the last validation.
        """
        self.batches += 1
        if self.batches > self.slow_batches:
            if self.measured_batches:
                # A process that resumes traces or compiles again.
                seconds = min(seconds, 3 * self.measured_seconds / self.measured_batches)
            self.measured_batches, self.measured_seconds = self.measured_batches + 1, self.measured_seconds + seconds
        if not self.limit:
            return
        end = self.limit - validation_seconds
        self.time_share = min(elapsed / end, 1.0) if end > 0 else 1.0
        if self.measured_seconds:
            each = self.measured_seconds / self.measured_batches + validation_seconds / self.epoch_batches
            self.expected = (self.batches + max(end - elapsed, 0.0) / each) / self.accumulated

    def rate(self) -> float:
        """Returns the learning rate of the next batch."""
        return self.schedule.rate(self.batches // self.accumulated + 1, self.time_share, self.expected)

    def state(self) -> dict[str, Any]:
        """Returns what `restore` needs, for JSON."""
        names = ("batches", "time_share", "measured_batches", "measured_seconds")
        # JSON has no infinity.
        expected = self.expected if math.isfinite(self.expected) else None
        return {
            **{name: getattr(self, name) for name in names},
            "expected": expected,
            "warmup": self.schedule.warmup,
            # Otherwise they are those of the options, which may be others when training resumes.
            "corrected": [self.epoch_batches, self.schedule.updates] if self.corrected else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from another process's state.

        Args:
            state: From `state`.
        """
        values = dict(state)
        self.schedule.warmup, expected = values.pop("warmup"), values.pop("expected")
        self.expected = math.inf if expected is None else expected
        if corrected := values.pop("corrected", None):  # states of older versions have none
            self.corrected, (self.epoch_batches, self.schedule.updates) = True, corrected
        for name, value in values.items():
            setattr(self, name, value)
