"""Multi-head attention (Vaswani et al. 2017, section 3.2)."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from seqline.modeling.dropout import Dropout
from seqline.modeling.positions import rotate


class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    The three projections of self-attention are one matrix product. Heads are the outermost part of the first axis:
    they are split and joined by copying blocks, which on a CPU is many times faster than transposing.

    Args:
        hidden_dim: Size of inputs and outputs.
        num_heads: Number of heads; must divide `hidden_dim`.
        dropout: Share of the attention weights dropped in training.

    Attributes:
        watch: A function that receives the attention weights of every call; None for none.
    """

    def __init__(self, hidden_dim: int, num_heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim, self.num_heads = hidden_dim, num_heads
        self.project_in = keras.layers.Dense(3 * hidden_dim, name="project_in")
        self.project_out = keras.layers.Dense(hidden_dim, name="project_out")
        self.dropout = Dropout(dropout)
        self.watch: Callable[[Any], object] | None = None
        # Scaling the projection is cheaper than scaling the logits.
        self.scales = np.repeat(np.array([(hidden_dim // num_heads) ** -0.5, 1, 1], np.float32), hidden_dim)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, hidden_dim]`.
        """
        self.project_in.build((None, None, self.hidden_dim))
        self.project_out.build((None, None, self.hidden_dim))
        self.built = True

    def project(self, states: Any, first: int, last: int) -> list[Any]:
        """Projects states to queries (0), keys (1) and values (2), or to some of the three.

        Args:
            states: `[batch, length, hidden_dim]`.
            first: Number of the first projection.
            last: Number after the last projection.

        Returns:
            `last - first` tensors, each `[num_heads * batch, length, hidden_dim / num_heads]`; the queries are scaled.
        """
        columns = slice(first * self.hidden_dim, last * self.hidden_dim)
        scales = self.scales[columns]
        kernel = ops.cast(self.project_in.kernel[:, columns] * scales, self.compute_dtype)
        bias = ops.cast(self.project_in.bias[columns] * scales, self.compute_dtype)
        parts = ops.split(ops.matmul(states, kernel) + bias, (last - first) * self.num_heads, axis=-1)
        return [
            ops.concatenate(parts[start : start + self.num_heads], axis=0)
            for start in range(0, len(parts), self.num_heads)
        ]

    def weights_of(self, queries: Any, keys: Any, bias: Any) -> Any:
        """Computes the attention weights.

        Args:
            queries: `[num_heads * batch, queries, hidden_dim / num_heads]`.
            keys: `[num_heads * batch, keys, hidden_dim / num_heads]`.
            bias: Added to the logits, `[num_heads * batch, queries, keys]`: 0, or very negative where masked.

        Returns:
            `[num_heads * batch, queries, keys]`; they sum to 1 over the last axis.
        """
        logits = tf.matmul(queries, keys, transpose_b=True) + bias
        return ops.cast(ops.softmax(ops.cast(logits, "float32")), self.compute_dtype)

    def merge(self, mixed: Any) -> Any:
        """Joins the heads, `[num_heads * batch, length, size]`, and projects them to `[batch, length, hidden_dim]`."""
        return self.project_out(ops.concatenate(ops.split(mixed, self.num_heads, axis=0), axis=-1))

    def call(self, states: Any, bias: Any, memory: Any = None, rotations: Any = None, training: bool = False) -> Any:
        """Attends from the states to themselves, or to a memory.

        Args:
            states: `[batch, length, hidden_dim]`.
            bias: See `weights_of`.
            memory: `[batch, memory length, hidden_dim]` for cross-attention.
            rotations: With rotary positions, the encodings of queries and keys; see `rotate`.
            training: Whether to apply dropout.

        Returns:
            `[batch, length, hidden_dim]`.
        """
        if memory is None:
            queries, keys, values = self.project(states, 0, 3)
        else:
            (queries,), (keys, values) = self.project(states, 0, 1), self.project(memory, 1, 3)
        if rotations is not None:
            queries, keys = rotate(queries, rotations), rotate(keys, rotations)
        weights = self.weights_of(queries, keys, bias)
        if self.watch is not None:
            self.watch(weights)
        return self.merge(ops.matmul(self.dropout(weights, training=training), values))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout.rate,
        }
