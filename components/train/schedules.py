"""Learning-rate schedules: functions of the updates and of the share of the training that is over."""

import math

WARMUP_SHARE = 0.1
"""The largest share of the updates that the warm-up takes."""


class Schedule:
    """Rises linearly to a peak, then falls.

    linear falls to 0 at the end of the training (Bergsma et al. 2025), cosine as half a cosine (Loshchilov and Hutter
    2017). The end is the end of the epochs or of the minutes, whichever is nearer at the time. inverse_square_root
    falls with the square root of the updates (Vaswani et al. 2017) and has no end. No warm-up takes more than a tenth
    of the updates that are expected.

    Args:
        kind: linear, cosine or inverse_square_root.
        peak: The highest learning rate, reached at the end of the warm-up.
        warmup_steps: Updates over which it rises, at most.
        updates: Updates in all epochs, as far as they are known.

    Attributes:
        updates: Updates in all epochs; may be corrected between calls.
        warmup: Updates of the warm-up; None until it is over.
    """

    def __init__(self, kind: str, peak: float, warmup_steps: int, updates: int) -> None:
        self.kind, self.peak, self.warmup_steps, self.updates = kind, peak, warmup_steps, updates
        self.warmup: int | None = None

    def rate(self, update: int, time_share: float = 0.0, expected: float = math.inf) -> float:
        """Returns the learning rate of an update.

        Args:
            update: Its number, from 1; no smaller than in the last call.
            time_share: Share of the time limit that is used up; 0 without a limit.
            expected: Updates that the time limit allows; infinite if that is not known.
        """
        total = min(self.updates, expected)
        warmup = self.warmup or max(1, min(self.warmup_steps, int(WARMUP_SHARE * total)))
        if update < warmup:
            return self.peak * update / warmup
        self.warmup = warmup
        if self.kind == "inverse_square_root":
            return self.peak * math.sqrt(warmup / update)
        # The rate would be 0 one update after the last one.
        over = min(max(update / (self.updates + 1), time_share), 1.0)
        warm = min(warmup / (total + 1), 1 / 2)
        left = min((1 - over) / (1 - warm), 1.0)
        return self.peak * (left if self.kind == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
