"""The inference form of the trained layers: fewer and larger matrix products than in training, with the same results.

Constant factors are multiplied into the weights once: the gain of each normalization into the following product, the
scale of the queries, the square root of the width into the embedding. One product computes the keys and values of all
decoder layers' cross-attention.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.decoding.weights import Weight
from seqline.modeling.config import TransformerConfig

MASKED = -1e9
NEGLIGIBLE = 1e-6
"""An epsilon that does not change a row whose mean square is about 1."""
ACTIVATIONS = {
    "relu": tf.nn.relu,
    "gelu": partial(tf.nn.gelu, approximate=True),  # as Keras, which training uses
    "gelu_exact": tf.nn.gelu,
    "silu": tf.nn.silu,
    "swiglu": tf.nn.silu,
    "geglu": partial(tf.nn.gelu, approximate=True),
}
"""The functions by name; of an activation with a gate, the gate's."""


class Linear(tf.Module):
    """A matrix product and a bias.

    Args:
        kernel: float32 `[inputs, outputs]`.
        bias: float32 `[outputs]`; zeros are not added.
        kind: Storage type of the kernel.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, kind: str) -> None:
        super().__init__()
        self.kernel = Weight(kernel, kind)
        self.bias = Weight(bias, "float32") if bias.any() else None

    def __call__(self, rows: Any) -> Any:
        """`[rows, inputs]` to `[rows, outputs]`."""
        product = self.kernel.times(rows)
        return product if self.bias is None else tf.nn.bias_add(product, self.bias.values)


class Normalization(tf.Module):
    """Normalization before a block, with gain and offset multiplied into the following weights, or after it.

    A state is divided by its Euclidean norm, and the gain includes the square root of the width: two operations instead
    of five. This drops training's epsilon where the mean square is about 1 and the epsilon at most `NEGLIGIBLE`, as in
    models with scaled embeddings. Others keep it: one more column of every row adds it to the square of the norm.

    Args:
        config: The model's shape.
        layer: The trained normalization; None for one without gain and offset.

    Attributes:
        for_compiler: Whether XLA compiles it, which does not support reduce_euclidean_norm.
    """

    for_compiler = False

    def __init__(self, config: TransformerConfig, layer: Any) -> None:
        super().__init__()
        self.first, self.centred = config.norm_placement == "pre", config.norm == "layer"
        kept = not config.embedding_scale or config.norm_epsilon > NEGLIGIBLE
        self.added = (config.hidden_dim * config.norm_epsilon) ** 0.5 if kept else None
        weights = [np.array(weight) for weight in layer.weights] if layer is not None else [np.ones(config.hidden_dim)]
        self.gain = weights[0].astype(np.float32) * np.float32(config.hidden_dim**0.5)
        self.offset = weights[1] if len(weights) > 1 else np.zeros_like(self.gain)

    @property
    def reach(self) -> float:
        """An upper bound of the norm of a normalized row, gain and offset included."""
        return float(np.abs(self.gain).max() + np.linalg.norm(self.offset))

    def into(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Multiplies gain and offset into the following product, if the normalization is before the block.

        Args:
            kernel: float32 `[width, outputs]`.
            bias: float32 `[outputs]`.
        """
        if not self.first:
            return kernel, bias
        return self.gain[:, None] * kernel, bias + self.offset @ kernel

    def before(self, rows: Any) -> Any:
        """The input of the block, `[rows, width]`."""
        return self._normalize(rows) if self.first else rows

    def after(self, rows: Any) -> Any:
        """The output of the block from its residual sum, `[rows, width]`."""
        return rows if self.first else self._normalize(rows) * self.gain + self.offset

    def _normalize(self, rows: Any) -> Any:
        if self.centred:
            rows -= tf.reduce_mean(rows, axis=-1, keepdims=True)
        length = tf.norm if self.for_compiler else tf.math.reduce_euclidean_norm
        if self.added is None:
            return tf.math.divide_no_nan(rows, length(rows, axis=-1, keepdims=True))
        return rows / length(tf.pad(rows, [[0, 0], [0, 1]], constant_values=self.added), axis=-1, keepdims=True)


class FeedForward(tf.Module):
    """The feed-forward block with its normalization.

    Its inner width is padded with zeros, which stay zeros through all activations, where `unaligned` says so.

    Args:
        config: The model's shape.
        layer: The trained `TransformerLayer`.
        kind: Storage type of the weights.
    """

    def __init__(self, config: TransformerConfig, layer: Any, kind: str) -> None:
        super().__init__()
        self.activation, self.gated = ACTIVATIONS[config.activation], config.gated
        self.norm = Normalization(config, layer.feed_forward_norm)
        kernel, bias = self.norm.into(*_weights(layer.feed_forward.expand))
        parts = 2 if self.gated else 1
        added = (unaligned(kernel.shape[1]) - kernel.shape[1]) // parts
        if added:
            kernel = np.concatenate([_padded(part, added) for part in np.split(kernel, parts, axis=1)], axis=1)
            bias = np.concatenate([_padded(part, added) for part in np.split(bias, parts)])
        self.expand = Linear(kernel, bias, kind)
        kernel, bias = _weights(layer.feed_forward.contract)
        self.contract = Linear(_padded(kernel.T, added).T, bias, kind)

    def __call__(self, rows: Any) -> Any:
        """`[rows, width]` to the same shape, added to the input."""
        inner = self.expand(self.norm.before(rows))
        if self.gated:
            gate, inner = tf.split(inner, 2, axis=-1)
            if self.activation is tf.nn.silu:
                # Not `inner * silu(gate)`: TensorFlow replaces silu by an operation that is slower for few rows.
                inner = inner * tf.sigmoid(gate) * gate
            else:
                inner *= self.activation(gate)
        else:
            inner = self.activation(inner)
        return self.norm.after(rows + self.contract(inner))


class SelfAttention(tf.Module):
    """The two matrix products of self-attention, with its normalization.

    Args:
        config: The model's shape.
        layer: The trained `TransformerLayer`.
        kind: Storage type of the weights.
    """

    def __init__(self, config: TransformerConfig, layer: Any, kind: str) -> None:
        super().__init__()
        attention = layer.self_attention
        self.norm = Normalization(config, layer.self_norm)
        kernel, bias = self.norm.into(*_weights(attention.project_in))
        self.project_in = Linear(kernel * attention.scales, bias * attention.scales, kind)
        self.project_out = Linear(*_weights(attention.project_out), kind)

    def queries_keys_values(self, rows: Any) -> Any:
        """`[rows, width]` to `[rows, (heads + 2 * kv_heads) * size]`."""
        return self.project_in(self.norm.before(rows))

    def add(self, rows: Any, mixed: Any) -> Any:
        """Adds the attention's output, `[rows, heads * size]`, to the input."""
        return self.norm.after(rows + self.project_out(mixed))


class CrossAttention(tf.Module):
    """Queries and output of cross-attention; the keys and values of all layers are computed together.

    Args:
        config: The model's shape.
        layer: The trained `TransformerLayer`.
        kind: Storage type of the weights.
    """

    def __init__(self, config: TransformerConfig, layer: Any, kind: str) -> None:
        super().__init__()
        attention = layer.cross_attention
        self.norm = Normalization(config, layer.cross_norm)
        last = attention.edges[1]
        scales = attention.scales[:last]
        kernel, bias = _weights(attention.project_in)
        kernel, bias = self.norm.into(kernel[:, :last], bias[:last])
        self.project_in = Linear(kernel * scales, bias * scales, kind)
        self.project_out = Linear(*_weights(attention.project_out), kind)

    def queries(self, rows: Any) -> Any:
        """`[rows, width]` to `[rows, heads * size]`."""
        return self.project_in(self.norm.before(rows))

    def add(self, rows: Any, mixed: Any) -> Any:
        """Adds the attention's output, `[rows, heads * size]`, to the input."""
        return self.norm.after(rows + self.project_out(mixed))

    @staticmethod
    def keys_values(layers: list[Any], norm: Normalization, kind: str, more: Sequence[np.ndarray] = ()) -> Linear:
        """The product that computes the keys and values of all layers, `[rows, layers * 2 * kv_heads * size]`.

        Args:
            layers: The trained decoder layers.
            norm: The encoder's last normalization.
            kind: Storage type of the weights.
            more: Kernels of further products, `[width, kv_heads * size]`, whose outputs are the last columns.
        """
        pairs = [_weights(layer.cross_attention.project_in) for layer in layers]
        first = layers[0].cross_attention.edges[1]
        kernel = np.concatenate([*(kernel[:, first:] for kernel, _ in pairs), *more], axis=1)
        bias = np.concatenate([bias[first:] for _, bias in pairs])
        bias = np.pad(bias, (0, kernel.shape[1] - len(bias)))
        return Linear(*norm.into(kernel, bias), kind)


def attend(queries: Any, *sides: tuple[Any, Any, Any]) -> Any:
    """Scaled dot-product attention over one or more groups of keys and values.

    Heads of queries that share keys are treated as more queries of one head: `grouped` prepares the masks for it.

    Args:
        queries: Scaled queries, `[sentences, heads, queries, size]`.
        *sides: Keys and values, each `[sentences, kv_heads, keys, size]`, and the mask that is added to the logits: 0
            or a relative bias, or very negative where masked. Several groups are treated as concatenated.

    Returns:
        `[sentences * queries, heads * size]`.
    """
    heads, kv_heads, size = queries.shape[1], sides[0][0].shape[1], queries.shape[3]
    single = queries.shape[2] == 1
    if heads != kv_heads:
        length = tf.shape(queries)[2]
        queries = tf.reshape(queries, tf.stack([-1, kv_heads, heads // kv_heads * length, size]))
    logits = [tf.matmul(queries, keys, transpose_b=True) + bias for keys, _, bias in sides]
    if len(sides) == 1:
        mixed = tf.matmul(tf.nn.softmax(logits[0]), sides[0][1])
    else:
        weights = tf.nn.softmax(tf.concat(logits, axis=-1))
        parts = tf.split(weights, [tf.shape(part)[-1] for part in logits], axis=-1)
        mixed = tf.add_n([tf.matmul(part, values) for part, (_, values, _) in zip(parts, sides, strict=True)])
    if single:
        return tf.reshape(mixed, (-1, heads * size))
    if heads != kv_heads:
        mixed = tf.reshape(mixed, tf.stack([-1, heads, length, size]))
    return tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (-1, heads * size))


def grouped(mask: Any, heads: int, kv_heads: int, length: Any) -> Any:
    """Gives a mask the form that `attend` needs where heads of queries share keys.

    Args:
        mask: `[sentences or 1, heads or 1, queries or 1, keys]`.
        heads: Heads of queries.
        kv_heads: Heads of keys and values.
        length: Number of queries.
    """
    if heads == kv_heads:
        return mask
    if mask.shape[1] == heads:
        sentences, keys = tf.shape(mask)[0], tf.shape(mask)[3]
        mask = tf.broadcast_to(mask, tf.stack([sentences, heads, length, keys]))
        return tf.reshape(mask, tf.stack([sentences, kv_heads, heads // kv_heads * length, keys]))
    return mask if mask.shape[2] == 1 else tf.tile(mask, (1, 1, heads // kv_heads, 1))


def put(where: Any, tensor: Any, added: Any) -> Any:
    """Writes at an index of an axis; in place, if nothing else reads the tensor's old value.

    Args:
        where: int32 `[axis + 1]`: zeros, then the index.
        tensor: The tensor to write to.
        added: The values, of the tensor's shape without that axis.

    Returns:
        The updated tensor.
    """
    axis = where.shape[0] - 1
    before = 2**axis - 1
    return tf.raw_ops.TensorStridedSliceUpdate(
        input=tensor,
        value=added,
        begin=where,
        end=where,
        strides=[1] * (axis + 1),
        begin_mask=before,
        end_mask=before,
        shrink_axis_mask=before + 1,
    )


def unaligned(columns: int) -> int:
    """A number of columns, at least as large, whose rows do not start at the same place of a memory page.

    Rows of a multiple of 4,096 bytes share few sets of a processor's cache, and a product with such a matrix evicts
    what it reads. Of few rows by 576 x 3,072 it takes 1.5 times as long as by 576 x 3,088; `benchmarks.products`.

    Args:
        columns: Columns of float32.
    """
    return columns + 16 if columns % 1024 == 0 else columns


def _padded(values: np.ndarray, added: int) -> np.ndarray:
    """Adds zeros at the end of the last axis."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, added)])


def _weights(dense: Any) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.array(dense.kernel)
    return kernel, np.array(dense.bias) if dense.use_bias else np.zeros(kernel.shape[1], np.float32)
