"""One layer of a stack (Vaswani et al. 2017, figure 1), with newer norms and activations as options."""

from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from seqline.modeling.attention import MultiHeadAttention
from seqline.modeling.config import TransformerConfig
from seqline.modeling.dropout import Dropout, seeds_from
from seqline.modeling.lora import Projection
from seqline.modeling.normalization import normalization

ACTIVATIONS = {
    "relu": ops.relu,
    "gelu": ops.gelu,
    "gelu_exact": partial(ops.gelu, approximate=False),
    "silu": ops.silu,
    "swiglu": ops.silu,
    "geglu": ops.gelu,
}
"""The functions by name; of an activation with a gate, the gate's."""


class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between them, applied to each position.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim, self.intermediate_dim, self.gated = (
            config.hidden_dim,
            config.intermediate_dim,
            config.gated,
        )
        self.activation, biased = ACTIVATIONS[config.activation], config.feed_forward_bias
        self.expand = Projection(self.intermediate_dim * (2 if self.gated else 1), use_bias=biased, name="expand")
        self.contract = Projection(self.hidden_dim, use_bias=biased, name="contract")
        self.dropout = Dropout(config.activation_dropout)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, hidden_dim]`.
        """
        self.expand.build((None, None, self.hidden_dim))
        self.contract.build((None, None, self.intermediate_dim))
        self.built = True

    def call(self, states: Any, training: bool = False) -> Any:
        """Maps `[batch, length, hidden_dim]` to the same shape."""
        inner = self.expand(states)
        if self.gated:
            gate, inner = ops.split(inner, 2, axis=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        return self.contract(self.dropout(inner, training=training))


class TransformerLayer(keras.layers.Layer):
    """An encoder or decoder layer: attention and feed-forward, each added to its input and normalized.

    Args:
        config: The model's configuration.
        cross: Whether the layer also attends to the encoder's memory, as in a decoder.

    Attributes:
        recomputed: Whether training computes the layer again for its gradients, instead of holding its activations in
            memory (Chen et al. 2016).
    """

    def __init__(self, config: TransformerConfig, cross: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim, self.has_cross = config.hidden_dim, cross
        self.normalized_first = config.norm_placement == "pre"
        self.self_norm = normalization(config, "self_norm")
        self.self_attention = MultiHeadAttention(config, name="self_attention")
        if cross:
            self.cross_norm = normalization(config, "cross_norm")
            self.cross_attention = MultiHeadAttention(config, name="cross_attention")
        self.feed_forward_norm = normalization(config, "feed_forward_norm")
        self.feed_forward = FeedForward(config, name="feed_forward")
        self.dropout = Dropout(config.dropout)
        self.recomputed = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, hidden_dim]`.
        """
        shape = (None, None, self.hidden_dim)
        for layer in (self.self_norm, self.self_attention, self.feed_forward_norm, self.feed_forward):
            layer.build(shape)
        if self.has_cross:
            self.cross_norm.build(shape)
            self.cross_attention.build(shape)
        self.built = True

    def call(
        self,
        states: Any,
        bias: Any,
        memory: Any = None,
        memory_bias: Any = None,
        rotations: Any = None,
        training: bool = False,
    ) -> Any:
        """Runs the layer on whole sequences.

        Args:
            states: `[batch, length, hidden_dim]`.
            bias: Mask of self-attention; see `MultiHeadAttention.weights_of`.
            memory: The encoder's output, `[batch, source length, hidden_dim]`, for a decoder.
            memory_bias: Mask of cross-attention.
            rotations: Encodings of self-attention, with rotary positions.
            training: Whether to apply dropout.

        Returns:
            `[batch, length, hidden_dim]`.
        """
        if not (self.recomputed and training):
            return self.run(states, bias, memory, memory_bias, rotations, training)
        given = {"states": states, "bias": bias, "memory": memory, "memory_bias": memory_bias, "rotations": rotations}
        tensors = {name: tf.convert_to_tensor(value) for name, value in given.items() if value is not None}
        absent = {name: None for name, value in given.items() if value is None}
        # Both passes must drop the same activations, so the seed is drawn outside of what is recomputed.
        seed = self.dropout_seed()

        def compute(*values: Any) -> Any:
            with seeds_from(seed):
                return self.run(**dict(zip(tensors, values, strict=True)), **absent, training=True)

        return tf.recompute_grad(compute)(*tensors.values())

    def dropout_seed(self) -> Any:
        """Draws a seed for all dropout of the layer; None if it has none."""
        attention = [self.self_attention, *([self.cross_attention] if self.has_cross else [])]
        layers = (self.dropout, self.feed_forward.dropout, *(block.dropout for block in attention))
        return next((layer.seed() for layer in layers if layer.dropped), None)

    def run(self, states: Any, bias: Any, memory: Any, memory_bias: Any, rotations: Any, training: bool) -> Any:
        """Computes the layer; the arguments are those of a call."""
        states = self.add(
            states, self.self_norm, lambda x: self.self_attention(x, bias, None, rotations, training=training), training
        )
        if self.has_cross:
            states = self.add(
                states,
                self.cross_norm,
                lambda x: self.cross_attention(x, memory_bias, memory, training=training),
                training,
            )
        return self.add(states, self.feed_forward_norm, lambda x: self.feed_forward(x, training=training), training)

    def add(self, states: Any, norm: keras.layers.Layer, block: Any, training: bool = False) -> Any:
        """Adds a block's output to the states, normalized before or after the block.

        Args:
            states: `[batch, length, hidden_dim]`.
            norm: The block's normalization.
            block: A function from states to states.
            training: Whether to apply dropout.
        """
        if self.normalized_first:
            return states + self.dropout(block(norm(states)), training=training)
        return norm(states + self.dropout(block(states), training=training))
