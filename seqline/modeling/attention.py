"""Multi-head attention (Vaswani et al. 2017, section 3.2)."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from seqline.modeling.config import TransformerConfig
from seqline.modeling.dropout import Dropout
from seqline.modeling.lora import Projection, product
from seqline.modeling.positions import rotate


class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    The three projections of self-attention are one matrix product. Heads are the outermost part of the first axis:
    they are split and joined by copying blocks, which on a CPU is many times faster than transposing.

    Args:
        config: The model's configuration.

    Attributes:
        watch: A function that receives the attention weights of every call; None for none.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim, self.num_heads, self.kv_heads = config.hidden_dim, config.num_heads, config.kv_heads
        self.head_size = config.head_size
        heads = (self.num_heads, self.kv_heads, self.kv_heads)
        # Of queries, keys and values: the columns where each starts, and where the last ends.
        self.edges = [self.head_size * sum(heads[:number]) for number in range(4)]
        self.project_in = Projection(self.edges[3], use_bias=config.attention_bias != "none", name="project_in")
        self.project_out = Projection(self.hidden_dim, use_bias=config.attention_bias == "all", name="project_out")
        self.dropout = Dropout(config.attention_dropout)
        self.watch: Callable[[Any], object] | None = None
        # Scaling the projection is cheaper than scaling the logits.
        scale = self.head_size**-0.5 if config.query_scale else 1
        self.scales = np.repeat(np.array([scale, 1, 1], np.float32), np.diff(self.edges))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, hidden_dim]`.
        """
        self.project_in.build((None, None, self.hidden_dim))
        self.project_out.build((None, None, self.num_heads * self.head_size))
        self.built = True

    def project(self, states: Any, first: int, last: int) -> list[Any]:
        """Projects states to queries (0), keys (1) and values (2), or to some of the three.

        Args:
            states: `[batch, length, hidden_dim]`.
            first: Number of the first projection.
            last: Number after the last projection.

        Returns:
            `last - first` tensors, `[num_heads * batch, length, head_size]`, of keys and values
            `[kv_heads * batch, length, head_size]`; the queries are scaled.
        """
        columns = slice(self.edges[first], self.edges[last])
        scales = self.scales[columns]
        layer, bias = self.project_in, None
        if layer.use_bias:
            bias = ops.cast(layer.bias[columns] * scales, self.compute_dtype)
        factors = None if layer.adapter is None else layer.adapter.factors(first, last)
        if factors:
            factors = factors[0], factors[1] * scales
        projected = product(states, ops.cast(layer.kernel[:, columns] * scales, self.compute_dtype), bias, factors)
        parts = ops.split(projected, (columns.stop - columns.start) // self.head_size, axis=-1)
        found = []
        for heads in (self.num_heads, self.kv_heads, self.kv_heads)[first:last]:
            found.append(ops.concatenate(parts[:heads], axis=0))
            parts = parts[heads:]
        return found

    def repeat(self, states: Any) -> Any:
        """Copies keys or values, `[kv_heads * batch, length, head_size]`, for all heads of queries."""
        times = self.num_heads // self.kv_heads
        if times == 1:
            return states
        return ops.concatenate([part for part in ops.split(states, self.kv_heads) for _ in range(times)], axis=0)

    def weights_of(self, queries: Any, keys: Any, bias: Any) -> Any:
        """Computes the attention weights.

        Args:
            queries: `[num_heads * batch, queries, head_size]`.
            keys: `[num_heads * batch, keys, head_size]`.
            bias: Added to the logits, `[num_heads * batch, queries, keys]`: very negative where masked.

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
            queries, keys = rotate(queries, rotations), rotate(keys, rotations[: ops.shape(keys)[0]])
        weights = self.weights_of(queries, self.repeat(keys), bias)
        if self.watch is not None:
            self.watch(weights)
        return self.merge(ops.matmul(self.dropout(weights, training=training), self.repeat(values)))
