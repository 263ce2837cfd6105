"""Dropout that draws a byte for each activation; Keras's draws a float."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

_seeds: list[Iterator[Any] | None] = [None]


@contextmanager
def seeds_from(seed: Any) -> Iterator[None]:
    """Within the block, derives the seeds of all dropout from one, so that it can be repeated.

    Args:
        seed: int32 `[2]`; None if nothing is dropped.
    """
    _seeds.append(None if seed is None else (seed + tf.constant([0, number]) for number in range(1 << 30)))
    try:
        yield
    finally:
        _seeds.pop()


class Dropout(keras.layers.Layer):
    """Sets a share of the activations to zero in training, and scales the rest (Srivastava et al. 2014).

    With Keras's dropout, random numbers take a tenth of a small model's step. Here one 32-bit number serves four
    activations, so the share is a multiple of 1/256; the scale is exact for it.

    Args:
        rate: Share of the activations dropped.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.dropped = round(rate * 256)
        self.seed_generator = keras.random.SeedGenerator() if self.dropped else None
        self.built = True

    def call(self, states: Any, training: bool = False) -> Any:
        """Returns states of the same shape."""
        if not training or not self.dropped:
            return states
        return states * self.mask(tf.shape(states), states.dtype)

    def mask(self, shape: Any, dtype: Any) -> Any:
        """Draws the factors of the states: 0 where dropped, otherwise the scale.

        Args:
            shape: Shape of the states.
            dtype: Their type.
        """
        count = tf.reduce_prod(shape)
        given = _seeds[-1]
        seed = self.seed() if given is None else next(given)
        numbers = tf.random.stateless_uniform([(count + 3) // 4], seed, None, None, tf.int32)
        drawn = tf.reshape(tf.reshape(tf.bitcast(numbers, tf.uint8), [-1])[:count], shape)
        return tf.cast(drawn >= self.dropped, dtype) * tf.cast(256 / (256 - self.dropped), dtype)

    def seed(self) -> Any:
        """Draws a seed, int32 `[2]`."""
        return tf.cast(self.seed_generator.next(), tf.int32)  # type: ignore[union-attr]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
