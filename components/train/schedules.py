"""Learning-rate schedules."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="seqline")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly, then falls: with the square root of the step (Vaswani et al. 2017), or as half a cosine to 0.

    Args:
        kind: inverse_square_root or cosine.
        peak: The highest learning rate, reached at the end of the warm-up.
        warmup_steps: Updates over which it rises.
        total_steps: Updates until a cosine reaches its end.
        gradient_accumulation_steps: Batches in an update.
    """

    def __init__(
        self, kind: str, peak: float, warmup_steps: int, total_steps: int, gradient_accumulation_steps: int = 1
    ) -> None:
        self.kind, self.peak, self.warmup_steps = kind, peak, warmup_steps
        self.total_steps, self.gradient_accumulation_steps = total_steps, gradient_accumulation_steps

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a batch.

        Args:
            step: Number of the batch, from 0.
        """
        update = ops.cast(ops.floor_divide(step, self.gradient_accumulation_steps), "float32") + 1.0
        warm = float(max(self.warmup_steps, 1))
        if self.kind == "inverse_square_root":
            return self.peak * ops.minimum(update / warm, ops.sqrt(warm / update))
        progress = ops.clip((update - warm) / max(self.total_steps - warm, 1.0), 0.0, 1.0)
        return self.peak * ops.minimum(update / warm, 0.5 * (1 + ops.cos(math.pi * progress)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = ("kind", "peak", "warmup_steps", "total_steps", "gradient_accumulation_steps")
        return {name: getattr(self, name) for name in names}
