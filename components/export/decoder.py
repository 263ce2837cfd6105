"""The trained Transformer as serving runs it: the encoder without padding, the decoder a step at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components.errors import UserError
from components.export.layers import (
    MASKED,
    CrossAttention,
    FeedForward,
    SelfAttention,
    attend,
    normalize,
)
from components.export.output import Output
from components.train.model import Transformer

GROWTH = 16
SERVED = {
    "architecture": "transformer",
    "norm_placement": "pre",
    "norm": "rms",
    "positions": "sinusoidal",
    "activation": "relu",
    "tied_embeddings": True,
}
"""The options of the model that decoding knows."""


class Memory(NamedTuple):
    """What the decoder attends to.

    Attributes:
        cross: Keys and values by layer, `[2 * layers, sentences, heads, source length, size]`.
        bias: `[sentences, 1, 1, source length]`: 0, or very negative at padding.
    """

    cross: tf.Tensor
    bias: tf.Tensor


class Decoder(tf.Module):
    """The trained model's weights, prepared for serving.

    A cache holds the keys and values of all hypotheses of a sentence side by side, and a hypothesis attends to those
    of its own past by a mask. So hypotheses can change places without a cache being copied.

    Args:
        model: The trained model.

    Raises:
        UserError: If the model has an option that decoding does not know.
    """

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        for name, served in SERVED.items():
            if getattr(model.config, name) != served:
                raise UserError(
                    f"a model with {name}={getattr(model.config, name)} can be trained but not exported yet; "
                    f"train with {name}={served}"
                )
        self.config = config = model.config
        self.size = config.width // config.heads
        embedding = np.array(model.embedding)
        self.embedding = tf.Variable(embedding * np.float32(config.width**0.5), trainable=False)
        self.positions = tf.constant(model.encodings)
        self.encoder = [(SelfAttention(layer), FeedForward(layer)) for layer in model.encoder]
        self.decoder = [(SelfAttention(layer), CrossAttention(layer), FeedForward(layer)) for layer in model.decoder]
        encoder_gain, decoder_gain = (np.array(norm.scale) for norm in (model.encoder_norm, model.decoder_norm) if norm)
        self.keys_values = CrossAttention.keys_values(model.decoder, encoder_gain)
        self.output = Output(decoder_gain[:, None] * embedding.T)

    def encode(self, source: Any) -> Memory:
        """Runs the encoder.

        Args:
            source: int32 `[sentences, source length]`, padded.
        """
        sentences, length = tf.unstack(tf.shape(source))
        real = tf.not_equal(source, self.config.pad_id)
        bias = tf.where(real, 0.0, MASKED)[:, None, None, :]
        # Products run over the real pieces only; attention over the padded ones.
        where = tf.where(tf.reshape(real, (-1,)))[:, 0]
        back = tf.reshape(tf.cumsum(tf.cast(tf.reshape(real, (-1,)), tf.int32)), (-1,)) - 1
        back = tf.maximum(back, 0)
        rows = tf.gather(self.embedding, tf.gather(tf.reshape(source, (-1,)), where))
        rows += tf.gather(self.positions, tf.cast(where, tf.int32) % length)
        for attention, feed_forward in self.encoder:
            projected = tf.gather(attention.queries_keys_values(rows), back)
            queries, keys, values = tf.unstack(attention.split(projected, sentences, length), 3)
            rows += attention.project_out(tf.gather(attend(queries, keys, values, bias), where))
            rows = feed_forward(rows)
        projected = tf.gather(self.keys_values(normalize(rows)), back)
        return Memory(self.decoder[0][0].split(projected, sentences, length), bias)

    def empty_caches(self, sentences: Any, hypotheses: Any, positions: Any) -> tuple[Any, ...]:
        """Room for the keys and values of some positions.

        Args:
            sentences: How many.
            hypotheses: Of each sentence.
            positions: How many.

        Returns:
            One cache a layer, `[2 * sentences * heads * positions, hypotheses * size]`.
        """
        rows = 2 * sentences * self.config.heads * positions
        return tuple(tf.zeros((rows, hypotheses * self.size)) for _ in self.decoder)

    def move_caches(
        self, caches: tuple[Any, ...], sentences: Any, going: Any, room: Any, growth: Any
    ) -> tuple[Any, ...]:
        """Keeps the caches of some sentences, with room for more positions.

        Args:
            caches: The caches.
            sentences: How many sentences they hold.
            going: int `[kept]`: which to keep.
            room: Positions that the caches have room for.
            growth: Positions to add.

        Returns:
            The caches of these sentences.
        """
        moved = []
        for cache in caches:
            width = cache.shape[1] or tf.shape(cache)[1]
            kept = tf.gather(tf.reshape(cache, (2, sentences, self.config.heads * room * width)), going, axis=1)
            grown = tf.pad(tf.reshape(kept, (-1, room, width)), [[0, 0], [0, growth], [0, 0]])
            moved.append(tf.reshape(grown, (-1, width)))
        return tuple(moved)

    def step(self, ids: Any, position: Any, caches: tuple[Any, ...], room: Any, mask: Any, memory: Memory) -> Any:
        """Decodes one more piece of several hypotheses of each sentence.

        Args:
            ids: int32 `[sentences, hypotheses]`: the last piece of each.
            position: Position of these pieces, a scalar.
            caches: Those of the positions before.
            room: Number of positions that the caches have room for.
            mask: `[sentences, 1, hypotheses, room * hypotheses]`.
            memory: What `encode` returned.

        Returns:
            The logits, float32 `[sentences * hypotheses, vocabulary]`, and the caches.
        """
        sentences, hypotheses = tf.shape(ids)[0], ids.shape[1] or tf.shape(ids)[1]
        heads, size = self.config.heads, self.size
        rows = tf.gather(self.embedding, tf.reshape(ids, (-1,))) + tf.gather(self.positions, position)
        here = (tf.range(2 * sentences * heads) * room + position)[:, None]
        grown = []

        def mix(number: int, projected: Any) -> Any:
            added = tf.reshape(projected[1:], (-1, hypotheses * size))
            cache = tf.tensor_scatter_nd_update(caches[number], here, added)
            grown.append(cache)
            keys_values = tf.reshape(cache, (2, sentences, heads, room * hypotheses, size))
            return attend(projected[0], keys_values[0], keys_values[1], mask)

        return self.output.logits(self._run(rows, sentences, hypotheses, mix, memory)), tuple(grown)

    def whole(self, ids: Any, memory: Memory) -> Any:
        """Runs the decoder over whole outputs at once.

        Args:
            ids: int32 `[sentences, length]`, starting with `bos`; padded at the end.
            memory: What `encode` returned.

        Returns:
            What the output layer takes, `[sentences * length, width]`.
        """
        sentences, length = tf.unstack(tf.shape(ids))
        rows = tf.reshape(tf.gather(self.embedding, ids) + self.positions[:length], (-1, self.config.width))
        ahead = MASKED * (1 - tf.linalg.band_part(tf.ones((length, length)), -1, 0))

        def mix(number: int, projected: Any) -> Any:
            return attend(projected[0], projected[1], projected[2], ahead)

        return self._run(rows, sentences, length, mix, memory)

    def _run(self, rows: Any, sentences: Any, length: Any, mix: Callable[[int, Any], Any], memory: Memory) -> Any:
        """Runs the decoder's layers.

        Args:
            rows: `[sentences * length, width]`.
            sentences: How many.
            length: Positions or hypotheses of each.
            mix: Self-attention: from a layer's number and its queries, keys and values to `[rows, width]`.
            memory: What `encode` returned.
        """
        for number, (attention, cross_attention, feed_forward) in enumerate(self.decoder):
            rows += attention.project_out(
                mix(number, attention.split(attention.queries_keys_values(rows), sentences, length))
            )
            queries = attention.split(cross_attention.queries(normalize(rows)), sentences, length)[0]
            mixed = attend(queries, memory.cross[2 * number], memory.cross[2 * number + 1], memory.bias)
            rows += cross_attention.project_out(mixed)
            rows = feed_forward(rows)
        return normalize(rows)
