"""Multi-head attention (Vaswani et al. 2017, section 3.2)."""

from typing import Any

import keras
from keras import ops


class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    The three projections of self-attention are one matrix product.

    Args:
        width: Size of inputs and outputs.
        heads: Number of heads; must divide `width`.
    """

    def __init__(self, width: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.scale = (width // heads) ** -0.5
        self.project_in = keras.layers.Dense(3 * width, name="project_in")
        self.project_out = keras.layers.Dense(width, name="project_out")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, width]`.
        """
        self.project_in.build((None, None, self.width))
        self.project_out.build((None, None, self.width))
        self.built = True

    def split(self, states: Any) -> Any:
        """`[batch, length, width]` to `[batch, heads, length, width / heads]`."""
        batch, length = ops.shape(states)[0], ops.shape(states)[1]
        states = ops.reshape(states, (batch, length, self.heads, self.width // self.heads))
        return ops.transpose(states, (0, 2, 1, 3))

    def queries_keys_values(self, states: Any) -> tuple[Any, Any, Any]:
        """Projects the states of self-attention, each to `[batch, heads, length, width / heads]`."""
        batch, length = ops.shape(states)[0], ops.shape(states)[1]
        projected = ops.reshape(self.project_in(states), (batch, length, 3, self.heads, self.width // self.heads))
        # One transposition, then slices of the first axis, which cost nothing.
        queries, keys, values = ops.unstack(ops.transpose(projected, (2, 0, 3, 1, 4)), 3, axis=0)
        return queries, keys, values

    def queries(self, states: Any) -> Any:
        """Projects what asks in cross-attention to `[batch, heads, length, width / heads]`."""
        return self.split(self._project(states, 0, 1))

    def keys_values(self, memory: Any) -> tuple[Any, Any]:
        """Projects what is asked in cross-attention, each to `[batch, heads, length, width / heads]`."""
        keys, values = ops.split(self._project(memory, 1, 3), 2, axis=-1)
        return self.split(keys), self.split(values)

    def _project(self, states: Any, first: int, last: int) -> Any:
        columns = slice(first * self.width, last * self.width)
        kernel = ops.cast(self.project_in.kernel[:, columns], self.compute_dtype)
        return ops.matmul(states, kernel) + ops.cast(self.project_in.bias[columns], self.compute_dtype)

    def attend(self, queries: Any, keys: Any, values: Any, bias: Any) -> Any:
        """Mixes the values by how well each key answers each query.

        Args:
            queries: `[batch, heads, queries, width / heads]`.
            keys: `[batch, heads, keys, width / heads]`.
            values: As the keys.
            bias: Added to the logits, `[batch or 1, 1, queries or 1, keys]`: 0, or very negative where masked.

        Returns:
            `[batch, queries, width]`.
        """
        logits = ops.matmul(queries * self.scale, ops.transpose(keys, (0, 1, 3, 2))) + bias
        weights = ops.cast(ops.softmax(ops.cast(logits, "float32")), self.compute_dtype)
        mixed = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        shape = ops.shape(mixed)
        return self.project_out(ops.reshape(mixed, (shape[0], shape[1], self.width)))

    def call(self, states: Any, bias: Any, memory: Any = None) -> Any:
        """Attends from the states to themselves, or to a memory.

        Args:
            states: `[batch, length, width]`.
            bias: See `attend`.
            memory: `[batch, memory length, width]` for cross-attention.

        Returns:
            `[batch, length, width]`.
        """
        if memory is None:
            return self.attend(*self.queries_keys_values(states), bias)
        return self.attend(self.queries(states), *self.keys_values(memory), bias)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "width": self.width, "heads": self.heads}
