"""One layer of the encoder and one of the decoder (Vaswani et al. 2017, figure 1)."""

from typing import Any

import keras

from components.train.model.attention import MultiHeadAttention


class FeedForward(keras.layers.Layer):
    """Two dense layers with a ReLU between them, at every position alike.

    Args:
        width: Size of inputs and outputs.
        inner: Size between the two.
    """

    def __init__(self, width: int, inner: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.inner = width, inner
        self.expand = keras.layers.Dense(inner, activation="relu", name="expand")
        self.contract = keras.layers.Dense(width, name="contract")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs `[batch, length, width]`."""
        self.expand.build((None, None, self.width))
        self.contract.build((None, None, self.inner))
        self.built = True

    def call(self, states: Any) -> Any:
        """`[batch, length, width]` to the same shape."""
        return self.contract(self.expand(states))


class TransformerLayer(keras.layers.Layer):
    """An encoder or decoder layer, each block normalized first (Xiong et al. 2020) and added to its input.

    The normalization is by the root mean square (Zhang and Sennrich 2019): as good here, and cheaper.

    Args:
        width: Size of the hidden states.
        feed_forward: Inner size of the feed-forward block.
        heads: Attention heads.
        dropout: Share of activations dropped in training.
        cross: Whether the layer also attends to the encoder's memory, as in a decoder.
    """

    def __init__(self, width: int, feed_forward: int, heads: int, dropout: float, cross: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.has_cross = width, cross

        def norm(name: str) -> keras.layers.Layer:
            return keras.layers.RMSNormalization(epsilon=1e-6, name=name)

        self.self_norm = norm("self_norm")
        self.self_attention = MultiHeadAttention(width, heads, name="self_attention")
        if cross:
            self.cross_norm = norm("cross_norm")
            self.cross_attention = MultiHeadAttention(width, heads, name="cross_attention")
        self.feed_forward_norm = norm("feed_forward_norm")
        self.feed_forward = FeedForward(width, feed_forward, name="feed_forward")
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs `[batch, length, width]`."""
        shape = (None, None, self.width)
        for layer in (self.self_norm, self.self_attention, self.feed_forward_norm, self.feed_forward):
            layer.build(shape)
        if self.has_cross:
            self.cross_norm.build(shape)
            self.cross_attention.build(shape)
        self.built = True

    def call(self, states: Any, bias: Any, memory: Any = None, memory_bias: Any = None, training: bool = False) -> Any:
        """Runs the layer on whole sequences.

        Args:
            states: `[batch, length, width]`.
            bias: Mask of self-attention; see `MultiHeadAttention.attend`.
            memory: The encoder's output, `[batch, source length, width]`, for a decoder.
            memory_bias: Its mask.
            training: Whether to apply dropout.

        Returns:
            `[batch, length, width]`.
        """

        def drop(update: Any) -> Any:
            return self.dropout(update, training=training)

        states += drop(self.self_attention(self.self_norm(states), bias))
        if self.has_cross:
            asked = self.cross_norm(states)
            states += drop(self.cross_attention(asked, memory_bias, memory))
        return states + drop(self.feed_forward(self.feed_forward_norm(states)))
