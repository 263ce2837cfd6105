"""The output layer: logits of all tokens, and the highest of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.decoding.layers import unaligned
from seqline.decoding.search_options import lesser
from seqline.decoding.token_choice import FORBIDDEN
from seqline.decoding.weights import PART_BYTES, Weight

BLOCK = 48
"""Logits of a block of `Output.top`; a multiple of the 16 floats of a cache line, since rows that begin within one take
longer."""
# Logit of padding tokens, below forbidden tokens of impossible hypotheses, so that search never returns them.
MISSING = -8e9
# The sum of exp(80) over a million tokens still fits in float32.
SAFE = 70.0


class Output(tf.Module):
    """The output layer.

    Args:
        kernel: float32 `[width, vocabulary]`.
        bias: float32 `[vocabulary]`.
        reach: Upper bound of the norm of its input's rows.
        kind: Storage type of the kernel.
        suppressed: Tokens that are never generated; they count in the probabilities of the others.
        ends: Tokens that end an output; of several, the first is generated instead of any.
    """

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray,
        reach: float,
        kind: str = "float32",
        suppressed: Sequence[int] = (),
        ends: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.vocabulary_size = kernel.shape[1]
        # No logit exceeds the product of the two norms.
        self.bound = float(reach * np.linalg.norm(kernel, axis=0).max() + np.abs(bias).max())
        missing = -self.vocabulary_size % BLOCK
        if unaligned(self.vocabulary_size + missing) > self.vocabulary_size + missing:
            missing += BLOCK
        kernel = np.pad(kernel, ((0, 0), (0, missing)))
        # float32 is used as it is stored.
        parts = 1 if kind == "float32" else -(-4 * kernel.size // PART_BYTES)
        self.kernels = [Weight(part, kind) for part in np.array_split(kernel, parts, axis=1)]
        self.bias = None
        if missing or bias.any():
            self.bias = Weight(np.pad(bias, (0, missing), constant_values=MISSING), "float32")
        self.ends = tuple(ends)
        suppressed, self.suppressed = [*suppressed, *ends[1:]], None
        if suppressed:
            # Added to all logits, as a bias is: faster than changing single ones.
            mask = np.zeros(self.vocabulary_size + missing, np.float32)
            mask[suppressed] = FORBIDDEN
            self.suppressed = tf.constant(mask)

    def logits(self, rows: Any) -> Any:
        """`[rows, width]` to `[rows, vocabulary]`, padded to a multiple of `BLOCK` with impossible logits."""
        parts: list[Any] = []
        for kernel in self.kernels:
            parts.append(kernel.times(rows, parts[-1] if parts else None))
        logits = parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)
        return logits if self.bias is None else tf.nn.bias_add(logits, self.bias.values)

    def allowed(self, logits: Any) -> Any:
        """Makes the suppressed tokens impossible, and all ends the first, once `log_total` has counted them.

        Args:
            logits: `[rows, vocabulary]`.
        """
        if self.suppressed is None:
            return logits
        found = tf.nn.bias_add(logits, self.suppressed)
        if len(self.ends) < 2:
            return found
        likeliest = tf.reduce_max(tf.gather(logits, self.ends, axis=1), axis=1)
        rows = tf.range(tf.shape(logits)[0])
        return tf.tensor_scatter_nd_max(found, tf.stack([rows, tf.fill(tf.shape(rows), self.ends[0])], 1), likeliest)

    def log_total(self, logits: Any, bounded: bool = True) -> Any:
        """The logarithm of the sum of the exponentials, `[rows, 1]`.

        Args:
            logits: `[rows, vocabulary]`.
            bounded: Whether they are at most those that `logits` returned.
        """
        if bounded and self.bound < SAFE:
            return tf.math.log(tf.reduce_sum(tf.exp(logits), axis=-1, keepdims=True))
        return tf.reduce_logsumexp(logits, axis=-1, keepdims=True)

    def highest(self, logits: Any) -> tuple[Any, Any]:
        """Finds the highest logit of each row, as `top` does.

        Args:
            logits: The result of `logits`; any of them may have been lowered.

        Returns:
            The logits, float32 `[rows]`, and their tokens, int32 `[rows]`.
        """
        blocks = tf.reshape(logits, (-1, (logits.shape[1] or tf.shape(logits)[1]) // BLOCK, BLOCK))
        _, best = tf.math.top_k(tf.reduce_max(blocks, axis=-1), 1)
        values, indices = tf.math.top_k(tf.gather(blocks, best[:, 0], batch_dims=1), 1)
        return values[:, 0], (best * BLOCK + indices)[:, 0]

    def top(self, logits: Any, offsets: Any, number: Any) -> tuple[Any, Any, Any]:
        """Finds the highest sums of a logit and the offset of its row, for every group of rows.

        The best n tokens of a group are in its best n blocks. One fast pass finds these blocks, and few logits remain
        to be sorted.

        Args:
            logits: The result of `logits`, `[groups * rows, vocabulary]`; any of them may have been lowered.
            offsets: float32 `[groups, rows]`.
            number: Number of sums; at most the size of the vocabulary.

        Returns:
            The sums, best first, the rows within their groups and the tokens, each `[groups, number]`.
        """
        blocks_of_row = (logits.shape[1] or tf.shape(logits)[1]) // BLOCK
        rows = offsets.shape[1] or tf.shape(offsets)[1]
        blocks = tf.reshape(logits, (-1, rows * blocks_of_row, BLOCK))
        highest = tf.reshape(tf.reduce_max(blocks, axis=-1), (-1, rows, blocks_of_row)) + tf.expand_dims(offsets, 2)
        most = lesser(number, rows * blocks_of_row)
        _, best = tf.math.top_k(tf.reshape(highest, (-1, rows * blocks_of_row)), most, sorted=False)
        few = tf.gather(blocks, best, batch_dims=1)
        few += tf.expand_dims(tf.gather(offsets, best // blocks_of_row, batch_dims=1), 2)
        sums, indices = tf.math.top_k(tf.reshape(few, (-1, most * BLOCK)), number)
        block = tf.gather(best, indices // BLOCK, batch_dims=1)
        return sums, block // blocks_of_row, block % blocks_of_row * BLOCK + indices % BLOCK
