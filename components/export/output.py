"""The output layer: logits of all pieces, and the few that matter."""

from typing import Any

import numpy as np
import tensorflow as tf

from components.export.search_options import lesser
from components.export.weights import Matrix

BLOCK = 40
# exp(80) times a million pieces is still a float32.
SAFE = 70.0


class Output(tf.Module):
    """The output layer.

    Args:
        kernel: float32 `[width, vocabulary]`.
        bias: float32 `[vocabulary]`.
        reach: The length of its input's rows, at most.
        kind: How the kernel is stored.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, reach: float, kind: str = "float32") -> None:
        super().__init__()
        self.vocabulary_size = kernel.shape[1]
        # No logit is beyond the product of the two lengths.
        self.bound = float(reach * np.linalg.norm(kernel, axis=0).max() + np.abs(bias).max())
        missing = -self.vocabulary_size % BLOCK
        self.kernel = Matrix(np.pad(kernel, ((0, 0), (0, missing))), kind)
        self.bias = None
        if missing or bias.any():
            self.bias = tf.Variable(np.pad(bias, (0, missing), constant_values=-2e9), trainable=False)

    def logits(self, rows: Any) -> Any:
        """`[rows, width]` to `[rows, vocabulary]`, filled up to a multiple of `BLOCK` with impossible ones."""
        logits = tf.matmul(rows, self.kernel.values)
        return logits if self.bias is None else tf.nn.bias_add(logits, self.bias)

    def log_total(self, logits: Any, bounded: bool = True) -> Any:
        """The logarithm of the sum of the exponentials, `[rows, 1]`.

        Args:
            logits: `[rows, vocabulary]`.
            bounded: Whether they are those that `logits` gave, or less.
        """
        if bounded and self.bound < SAFE:
            return tf.math.log(tf.reduce_sum(tf.exp(logits), axis=-1, keepdims=True))
        return tf.reduce_logsumexp(logits, axis=-1, keepdims=True)

    def top(self, logits: Any, number: Any) -> tuple[Any, Any]:
        """The highest logits and their pieces, each `[rows, number]`.

        The best few pieces lie in the best few blocks. Finding these takes one quick pass, and what is left to sort
        is small.
        """
        blocks = tf.reshape(logits, (-1, logits.shape[1] // BLOCK, BLOCK))
        most = lesser(number, blocks.shape[1])
        _, best = tf.math.top_k(tf.reduce_max(blocks, axis=-1), most, sorted=False)
        few = tf.reshape(tf.gather(blocks, best, batch_dims=1), (-1, most * BLOCK))
        values, places = tf.math.top_k(few, number)
        return values, tf.gather(best, places // BLOCK, batch_dims=1) * BLOCK + places % BLOCK
