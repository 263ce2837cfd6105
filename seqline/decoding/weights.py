"""Weight storage: float32, bfloat16, or int8 with a scale for each column or row.

A small model's weights are unpacked once a call, outside its loops. A large model's are unpacked where they are used,
one after the other: its memory is that of the stored weights, and a step takes longer.

Products with stored bfloat16 or int8 can be computed from bfloat16 inputs, for processors that multiply them; their
sums are in float32, and their outputs are rounded to bfloat16. There all of these weights are exact in bfloat16.
"""

from typing import Any

import numpy as np
import tensorflow as tf

PART_BYTES = 8 << 20
"""Float32 size of a part that is unpacked where it is used: it fits the cache of a processor."""


class Weight(tf.Module):
    """A weight that is stored in a smaller type and used in float32.

    Args:
        values: float32; for int8 a matrix `[rows, columns]`.
        kind: float32, bfloat16 or int8.
        scaled: Of int8: the axis with one scale per entry, 0 for rows, 1 for columns.

    Attributes:
        native: Whether the function that is being traced multiplies a stored bfloat16 or int8 in bfloat16.
    """

    def __init__(self, values: np.ndarray, kind: str, scaled: int = 1) -> None:
        super().__init__()
        self.scaled, self.scales, self.native, self._unpacked = scaled, None, False, None
        if kind == "int8":
            largest = np.abs(values).max(axis=1 - scaled, keepdims=True)
            scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
            self.scales = tf.Variable(scales, trainable=False)
            values = np.round(values / scales).astype(np.int8)
        self.stored = tf.Variable(tf.cast(values, kind), trainable=False)

    def unpack(self) -> None:
        """Computes the values, once for the function that is being traced."""
        # Here and not where they are used: inside a loop it would be one more operation for every weight and step.
        values = self._converted()
        self._unpacked = values if self.scales is None or self.native else values * self.scales

    def pack(self) -> None:
        """Drops the values that `unpack` computed."""
        self._unpacked = None

    @property
    def size(self) -> int:
        """Bytes that unpacking takes."""
        return 0 if self.stored.dtype == self._kind else self._kind.size * int(np.prod(self.stored.shape))

    @property
    def values(self) -> Any:
        """The weight, float32; while unpacked."""
        return self._unpacked

    def times(self, rows: Any, after: Any = None) -> Any:
        """The product with a matrix of scaled columns: `[rows, inputs]` to `[rows, columns]`.

        Args:
            rows: float32.
            after: A tensor; a packed weight is unpacked once it is there. None for the rows.
        """
        values, scales = self._unpacked, self.scales if self.native else None
        if values is None:
            # Unpacking needs no input: without the dependency, a step would begin by unpacking all weights at once.
            with tf.control_dependencies([rows if after is None else after]):
                values, scales = self._converted(), self.scales
        product = tf.cast(tf.matmul(tf.cast(rows, values.dtype), values), tf.float32)
        return product if scales is None else product * scales

    @property
    def _kind(self) -> tf.DType:
        """The type of the numbers that are multiplied."""
        return tf.bfloat16 if self.native and self.stored.dtype != tf.float32 else tf.float32

    def _converted(self) -> Any:
        return tf.cast(tf.convert_to_tensor(self.stored), self._kind)

    def rows(self, numbers: Any) -> Any:
        """Some rows, float32 `[..., columns]`; of int8 only with scales for rows.

        Args:
            numbers: int32 `[...]`.
        """
        values = tf.cast(tf.gather(self.stored, numbers), tf.float32)
        return values if self.scales is None else values * tf.gather(self.scales, numbers)

    def chosen(self, numbers: Any) -> tuple[Any, Any]:
        """Some rows, in the type of the numbers that are multiplied, and their scales, which are multiplied later.

        Args:
            numbers: int32 `[n]`.

        Returns:
            `[n, columns]`; and `[n]`, or None.
        """
        values = tf.cast(tf.gather(self.stored, numbers), self._kind)
        return values, None if self.scales is None else tf.gather(self.scales, numbers)[:, 0]
