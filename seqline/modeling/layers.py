"""One layer of a stack (Vaswani et al. 2017, figure 1), with the options that practice has found since."""

from typing import Any

import keras
from keras import ops

from seqline.modeling.attention import MultiHeadAttention
from seqline.modeling.config import TransformerConfig
from seqline.modeling.dropout import Dropout
from seqline.modeling.normalization import normalization

ACTIVATIONS = {"relu": ops.relu, "gelu": ops.gelu, "silu": ops.silu, "swiglu": ops.silu}


class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between them, at every position alike.

    Args:
        config: The model's shape.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.inner, self.gated = config.hidden_dim, config.intermediate_dim, config.activation == "swiglu"
        self.activation = ACTIVATIONS[config.activation]
        self.expand = keras.layers.Dense(self.inner * (2 if self.gated else 1), name="expand")
        self.contract = keras.layers.Dense(self.width, name="contract")
        self.dropout = Dropout(config.activation_dropout)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs `[batch, length, width]`."""
        self.expand.build((None, None, self.width))
        self.contract.build((None, None, self.inner))
        self.built = True

    def call(self, states: Any, training: bool = False) -> Any:
        """`[batch, length, width]` to the same shape."""
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
        config: The model's shape.
        cross: Whether the layer also attends to the encoder's memory, as in a decoder.
    """

    def __init__(self, config: TransformerConfig, cross: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.has_cross = config.hidden_dim, cross
        self.normalized_first = config.norm_placement == "pre"

        def attention(name: str) -> MultiHeadAttention:
            return MultiHeadAttention(config.hidden_dim, config.num_heads, config.attention_dropout, name=name)

        self.self_norm = normalization(config.norm, "self_norm")
        self.self_attention = attention("self_attention")
        if cross:
            self.cross_norm = normalization(config.norm, "cross_norm")
            self.cross_attention = attention("cross_attention")
        self.feed_forward_norm = normalization(config.norm, "feed_forward_norm")
        self.feed_forward = FeedForward(config, name="feed_forward")
        self.dropout = Dropout(config.dropout)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs `[batch, length, width]`."""
        shape = (None, None, self.width)
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
            states: `[batch, length, width]`.
            bias: Mask of self-attention; see `MultiHeadAttention.weights_of`.
            memory: The encoder's output, `[batch, source length, width]`, for a decoder.
            memory_bias: Its mask.
            rotations: Of self-attention, with rotary positions.
            training: Whether to apply dropout.

        Returns:
            `[batch, length, width]`.
        """
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
        """Adds what a block makes of the states, normalized before it or after.

        Args:
            states: `[batch, length, width]`.
            norm: The block's normalization.
            block: From states to states.
            training: Whether to apply dropout.
        """
        if self.normalized_first:
            return states + self.dropout(block(norm(states)), training=training)
        return norm(states + self.dropout(block(states), training=training))
