"""What training minimizes, and the learning rate it does so with."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from components.train.model import Transformer


class Trainee(Transformer):
    """The Transformer with its training objective: label-smoothed cross-entropy per target token.

    Args:
        config: The model's shape.
        label_smoothing: Share of the probability spread over the whole vocabulary (Szegedy et al. 2016).
    """

    def __init__(self, config: Any, label_smoothing: float = 0.1, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.label_smoothing = label_smoothing
        self.tokens = keras.metrics.Sum(name="tokens")
        self.likelihood = keras.metrics.Mean(name="nll")
        self.accuracy = keras.metrics.Mean(name="accuracy")

    @property
    def metrics(self) -> list[Any]:
        """Reset by Keras at the start of every epoch."""
        return [*super().metrics, self.tokens, self.likelihood, self.accuracy]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of one batch; updates the metrics.

        Args:
            x: Not used.
            y: Expected pieces, int32 `[batch, length]`, padded.
            y_pred: Logits, float32 `[batch, length, vocabulary]`.
            sample_weight: Not used.
            training: Whether to smooth the labels; the metrics are updated where not.

        Returns:
            Mean over the target's tokens, a scalar.
        """
        real = ops.cast(ops.not_equal(y, self.config.pad_id), "float32")
        count = ops.sum(real)

        def mean(values: Any) -> Any:
            return ops.sum(values * real) / ops.maximum(count, 1.0)

        self.tokens.update_state(count)
        if training:
            size = self.config.vocabulary_size
            smoothed = tf.one_hot(y, size, 1 - self.label_smoothing, 0.0) + self.label_smoothing / size
            # Loss and gradient in one pass over the logits, which are most of a small model's work.
            return mean(tf.nn.softmax_cross_entropy_with_logits(smoothed, y_pred))
        likelihood = mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_pred))
        self.likelihood.update_state(likelihood, sample_weight=count)
        hit = ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), y.dtype), y), "float32")
        self.accuracy.update_state(mean(hit), sample_weight=count)
        return likelihood


@keras.saving.register_keras_serializable(package="seqline")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly, then falls with the square root of the step (Vaswani et al. 2017, section 5.3).

    Args:
        peak: The highest learning rate, reached at the end of the warm-up.
        warmup_steps: Steps of the rise.
    """

    def __init__(self, peak: float, warmup_steps: int) -> None:
        self.peak, self.warmup_steps = peak, warmup_steps

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step."""
        step = ops.cast(step, "float32") + 1.0
        warm = float(max(self.warmup_steps, 1))
        return self.peak * ops.minimum(step / warm, ops.sqrt(warm / step))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}
