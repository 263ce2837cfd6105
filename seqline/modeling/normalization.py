"""Normalization of hidden states, by the root mean square or by mean and variance."""

from typing import Any

import keras
import tensorflow as tf

from seqline.modeling.config import TransformerConfig


def normalization(config: TransformerConfig, name: str) -> keras.layers.Layer:
    """Makes a normalization layer.

    Args:
        config: The model's configuration.
        name: The layer's name.
    """
    if config.norm == "rms":
        return RMSNormalization(config.norm_epsilon, name=name)
    return keras.layers.LayerNormalization(epsilon=config.norm_epsilon, name=name)


class RMSNormalization(keras.layers.Layer):
    """Divides by the root mean square over the last axis (Zhang and Sennrich 2019).

    Keras's layer has the same result; the manual gradient here makes half as many passes over the states.

    Args:
        epsilon: Added to the mean square.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[..., hidden_dim]`.
        """
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")

    def call(self, states: Any) -> Any:
        """Returns states of the same shape."""
        scale = tf.cast(tf.convert_to_tensor(self.scale), states.dtype)
        return _normalize(states, scale, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


def _normalize(states: Any, scale: Any, epsilon: float) -> Any:
    @tf.custom_gradient
    def function(states: Any, scale: Any) -> tuple[Any, Any]:
        wide = tf.cast(states, tf.float32)
        mean_square = tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True)
        factor = tf.cast(tf.math.rsqrt(mean_square + epsilon), states.dtype)
        normalized = states * factor

        def gradient(upstream: Any) -> tuple[Any, Any]:
            product = upstream * normalized
            scaled = upstream * scale
            mean = tf.reduce_mean(scaled * normalized, axis=-1, keepdims=True)
            axes = list(range(len(states.shape) - 1))
            return (scaled - normalized * mean) * factor, tf.reduce_sum(product, axis=axes)

        return normalized * scale, gradient

    return function(states, scale)
