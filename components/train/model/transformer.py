"""The encoder-decoder Transformer (Vaswani et al. 2017), normalized first."""

from typing import Any

import keras
import numpy as np
from keras import ops

from components.train.model.config import TransformerConfig
from components.train.model.layers import TransformerLayer

MASKED = -1e9


def sinusoids(length: int, width: int) -> np.ndarray:
    """Position encodings (Vaswani et al. 2017, section 3.5), sines in the first half and cosines in the second.

    Args:
        length: Number of positions.
        width: Size of each encoding; even.

    Returns:
        float32 `[length, width]`.
    """
    angles = np.arange(length)[:, None] * np.exp(-np.log(10000.0) * np.arange(width // 2) / (width // 2))[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class Transformer(keras.Model):
    """Maps source and target pieces to logits of the next target piece.

    One embedding serves the source, the target and the output layer (Press and Wolf 2017).

    Args:
        config: Its shape.

    Call arguments:
        inputs: A pair of int32 `[batch, source length]`, ending in `eos`, and int32 `[batch, target length]`,
            starting with `bos`; both filled up with `pad`.

    Returns of a call:
        float32 `[batch, target length, vocabulary]`.

    Example:
        >>> model = Transformer(TransformerConfig.preset("tiny", vocabulary_size=8000))
        >>> model((source, target)).shape
        TensorShape([2, 7, 8000])
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        shape = (config.width, config.feed_forward, config.heads, config.dropout)
        self.encoder = [
            TransformerLayer(*shape, cross=False, name=f"encoder_{i}") for i in range(config.encoder_layers)
        ]
        self.decoder = [TransformerLayer(*shape, cross=True, name=f"decoder_{i}") for i in range(config.decoder_layers)]
        self.encoder_norm = keras.layers.RMSNormalization(epsilon=1e-6, name="encoder_norm")
        self.decoder_norm = keras.layers.RMSNormalization(epsilon=1e-6, name="decoder_norm")
        self.dropout = keras.layers.Dropout(config.dropout)
        self.positions = sinusoids(config.max_length, config.width)
        self.embedding = self.add_weight(
            name="embedding",
            shape=(config.vocabulary_size, config.width),
            initializer=keras.initializers.RandomNormal(stddev=config.width**-0.5),
        )
        for layer in (*self.encoder, *self.decoder, self.encoder_norm, self.decoder_norm):
            layer.build((None, None, config.width))
        self.built = True

    def embed(self, ids: Any, position: Any = 0) -> Any:
        """Looks up pieces and adds their positions.

        Args:
            ids: int32 `[batch, length]`.
            position: Position of the first one.

        Returns:
            `[batch, length, width]`.
        """
        states = ops.take(self.embedding, ids, axis=0) * self.config.width**0.5
        length = ops.shape(ids)[1]
        if isinstance(position, int) and isinstance(length, int):
            added = self.positions[position : position + length]
        else:
            added = ops.take(self.positions, ops.arange(length) + position, axis=0)
        return ops.cast(states + added, self.compute_dtype)

    def padding_bias(self, ids: Any) -> Any:
        """`[batch, 1, 1, length]`: 0, or very negative at padding."""
        padding = ops.cast(ops.equal(ids, self.config.pad_id), self.compute_dtype)
        return padding[:, None, None, :] * MASKED

    def encode(self, source: Any, training: bool = False) -> Any:
        """Runs the encoder.

        Args:
            source: int32 `[batch, source length]`.
            training: Whether to apply dropout.

        Returns:
            The memory, `[batch, source length, width]`.
        """
        bias = self.padding_bias(source)
        states = self.dropout(self.embed(source), training=training)
        for layer in self.encoder:
            states = layer(states, bias, training=training)
        return self.encoder_norm(states)

    def logits(self, states: Any) -> Any:
        """The output layer, tied to the embedding: `[..., width]` to float32 `[..., vocabulary]`."""
        kernel = ops.cast(ops.transpose(self.embedding), self.compute_dtype)
        return ops.cast(ops.matmul(self.decoder_norm(states), kernel), "float32")

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """See the class."""
        source, target = inputs
        memory = self.encode(source, training)
        length = ops.shape(target)[1]
        ahead = ops.arange(length)[None, :] > ops.arange(length)[:, None]
        # A target is padded at its end only, so hiding what lies ahead hides the padding too.
        causal = (ops.cast(ahead, self.compute_dtype) * MASKED)[None, None]
        memory_bias = self.padding_bias(source)
        states = self.dropout(self.embed(target), training=training)
        for layer in self.decoder:
            states = layer(states, causal, memory, memory_bias, training=training)
        return self.logits(states)

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration, for `from_config`."""
        return {"config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transformer":  # type: ignore[override]
        """Returns the model that `get_config` described.

        Args:
            config: What it returned.
        """
        return cls(TransformerConfig.from_dict(config["config"]))
