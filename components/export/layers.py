"""The trained layers as serving runs them: fewer and larger matrix products than training's, with the same results.

What does not depend on the input is multiplied into the weights once: the gain of each normalization into the product
that follows it, the scale of the queries, the square root of the width into the embedding. Keys and values of all
decoder layers' cross-attention come from one product.
"""

from typing import Any

import numpy as np
import tensorflow as tf

MASKED = -1e9
EPSILON = 1e-6


class Linear(tf.Module):
    """A matrix product and a bias.

    Args:
        kernel: float32 `[inputs, outputs]`.
        bias: float32 `[outputs]`; None for none.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
        super().__init__()
        self.kernel = tf.Variable(kernel, trainable=False)
        self.bias = None if bias is None else tf.Variable(bias, trainable=False)

    def __call__(self, rows: Any) -> Any:
        """`[rows, inputs]` to `[rows, outputs]`."""
        product = tf.matmul(rows, self.kernel)
        return product if self.bias is None else tf.nn.bias_add(product, self.bias)


def normalize(rows: Any) -> Any:
    """Divides each row by its root mean square; the gain is in the weights that follow."""
    return rows * tf.math.rsqrt(tf.reduce_mean(tf.square(rows), axis=-1, keepdims=True) + EPSILON)


class FeedForward(tf.Module):
    """The feed-forward block with its normalization.

    Args:
        layer: The trained `TransformerLayer`.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        block, gain = layer.feed_forward, np.array(layer.feed_forward_norm.scale)
        self.expand = Linear(gain[:, None] * np.array(block.expand.kernel), np.array(block.expand.bias))
        self.contract = Linear(np.array(block.contract.kernel), np.array(block.contract.bias))

    def __call__(self, rows: Any) -> Any:
        """`[rows, width]` to the same shape, added to the input."""
        return rows + self.contract(tf.nn.relu(self.expand(normalize(rows))))


class SelfAttention(tf.Module):
    """Self-attention's two products with its normalization.

    Args:
        layer: The trained `TransformerLayer`.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attention, gain = layer.self_attention, np.array(layer.self_norm.scale)
        scale = attention.scales
        self.heads, self.size = attention.heads, attention.width // attention.heads
        self.project_in = Linear(
            gain[:, None] * np.array(attention.project_in.kernel) * scale, np.array(attention.project_in.bias) * scale
        )
        self.project_out = Linear(np.array(attention.project_out.kernel), np.array(attention.project_out.bias))

    def queries_keys_values(self, rows: Any) -> Any:
        """`[rows, width]` to `[rows, 3 * width]`."""
        return self.project_in(normalize(rows))

    def split(self, projected: Any, sentences: Any, length: Any) -> Any:
        """`[sentences * length, n * width]` to `[n, sentences, heads, length, width / heads]`."""
        parts = projected.shape[-1] // (self.heads * self.size)
        return tf.transpose(tf.reshape(projected, (sentences, length, parts, self.heads, self.size)), (2, 0, 3, 1, 4))


class CrossAttention(tf.Module):
    """Cross-attention's queries and output; the keys and values of all layers are made together.

    Args:
        layer: The trained `TransformerLayer`.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attention, gain = layer.cross_attention, np.array(layer.cross_norm.scale)
        kernel, bias = (np.array(weight) for weight in attention.project_in.weights)
        width = attention.width
        self.heads, self.size = attention.heads, width // attention.heads
        scale = attention.scales[:width]
        self.queries = Linear(gain[:, None] * kernel[:, :width] * scale, bias[:width] * scale)
        self.project_out = Linear(np.array(attention.project_out.kernel), np.array(attention.project_out.bias))

    @staticmethod
    def keys_values(layers: list[Any], gain: np.ndarray) -> Linear:
        """The product that makes the keys and values of all layers, `[rows, layers * 2 * width]`.

        Args:
            layers: The trained decoder layers.
            gain: Of the encoder's last normalization.
        """
        attentions = [layer.cross_attention for layer in layers]
        kernels, biases = (
            [
                np.array(weights[i])[..., attention.width :]
                for attention in attentions
                for weights in [attention.project_in.weights]
            ]
            for i in (0, 1)
        )
        return Linear(gain[:, None] * np.concatenate(kernels, axis=1), np.concatenate(biases))


def attend(queries: Any, keys: Any, values: Any, bias: Any) -> Any:
    """Mixes the values by how well each key answers each query.

    Args:
        queries: Scaled, `[sentences, heads, queries, size]`.
        keys: `[sentences, heads, keys, size]`.
        values: As the keys.
        bias: Added to the logits: 0, or very negative where masked.

    Returns:
        `[sentences * queries, heads * size]`.
    """
    weights = tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True) + bias)
    mixed = tf.transpose(tf.matmul(weights, values), (0, 2, 1, 3))
    return tf.reshape(mixed, (-1, mixed.shape[2] * mixed.shape[3]))
