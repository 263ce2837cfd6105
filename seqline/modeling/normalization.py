"""Normalization of hidden states, by the root mean square or by mean and variance."""

from typing import Any

import keras
import tensorflow as tf

EPSILON = 1e-6


def normalization(kind: str, name: str) -> keras.layers.Layer:
    """Makes a normalization layer.

    Args:
        kind: rms or layer.
        name: The layer's name.
    """
    if kind == "rms":
        return RMSNormalization(name=name)
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)


class RMSNormalization(keras.layers.Layer):
    """Divides by the root mean square over the last axis (Zhang and Sennrich 2019).

    Keras's layer has the same result; the manual gradient here makes half as many passes over the states.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[..., hidden_dim]`.
        """
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")

    def call(self, states: Any) -> Any:
        """Returns states of the same shape."""
        return _normalize(states, tf.cast(tf.convert_to_tensor(self.scale), states.dtype))


@tf.custom_gradient
def _normalize(states: Any, scale: Any) -> tuple[Any, Any]:
    wide = tf.cast(states, tf.float32)
    factor = tf.cast(tf.math.rsqrt(tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True) + EPSILON), states.dtype)
    normalized = states * factor

    def gradient(upstream: Any) -> tuple[Any, Any]:
        product = upstream * normalized
        scaled = upstream * scale
        mean = tf.reduce_mean(scaled * normalized, axis=-1, keepdims=True)
        return (scaled - normalized * mean) * factor, tf.reduce_sum(product, axis=list(range(len(states.shape) - 1)))

    return normalized * scale, gradient
