"""The trained model as serving runs it: the source without padding, the output a step at a time."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from seqline.decoding.layers import (
    MASKED,
    CrossAttention,
    FeedForward,
    Normalization,
    SelfAttention,
    attend,
    put,
)
from seqline.decoding.output import Output
from seqline.decoding.weights import Weight
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.positions import rotate, sinusoids

GROWTH = 8
# TensorFlow copies to a slice element by element: so many floats count as one, of that type. A head's size is even.
TOGETHER = {2: tf.complex64, 4: tf.complex128}


class Memory(NamedTuple):
    """What the decoder attends to: what the encoder made of the source; of a gpt, the source itself.

    Attributes:
        cross: Keys and values by layer, `[2 * layers, sentences, heads, source length, size]`; or as many tensors.
        bias: `[sentences, 1, 1, source length]`: 0, or very negative at padding.
    """

    cross: Any
    bias: tf.Tensor


class Decoder(tf.Module):
    """The trained model's weights, prepared for serving.

    A cache holds the keys and values of all hypotheses of a sentence side by side, and a hypothesis attends to those
    of its own past by a mask. So hypotheses can change places without a cache being copied. A gpt's keys and values of
    the source are kept apart from those, once for all hypotheses.

    Args:
        model: The trained model.
        weights: How its matrices are stored, one of `WEIGHTS`.
        longest: Positions to know, at least.
        for_compiler: Whether XLA compiles what is made of it.
    """

    def __init__(
        self, model: LanguageModel, weights: str = "float32", longest: int = 0, for_compiler: bool = False
    ) -> None:
        super().__init__()
        self.for_compiler = for_compiler
        self.config = config = model.config
        self.heads, self.size = config.num_heads, config.hidden_dim // config.num_heads
        self.group = math.gcd(self.size, max(TOGETHER))
        self.prompted = config.architecture == "gpt"
        embedding = np.array(model.embedding) * np.float32(config.hidden_dim**0.5)
        self.embedding = Weight(embedding, weights, scaled=0)
        longest = max(longest, config.max_length)
        self.rotations = tf.constant(sinusoids(longest, self.size)) if config.positions == "rotary" else None
        learned = model.learned_positions
        self.positions = tf.constant(sinusoids(longest, config.hidden_dim) if learned is None else np.array(learned))
        self.encoder = [] if self.prompted else self._stack(model.encoder, weights)
        self.decoder = self._stack(model.decoder, weights)
        self.cross = [] if self.prompted else [CrossAttention(config, layer, weights) for layer in model.decoder]
        self.last = Normalization(config, model.decoder_norm)
        if not self.prompted:
            self.encoded = Normalization(config, model.encoder_norm)
            self.keys_values = CrossAttention.keys_values(model.decoder, self.encoded, weights)
        kernel = np.array(model.output_embedding).T
        kernel, bias = self.last.into(kernel, np.zeros(kernel.shape[1], np.float32))
        reach = 1.0 if self.last.first else self.decoder[-1][1].norm.reach
        self.output = Output(kernel, bias, reach, weights)
        for module in self.submodules:
            if isinstance(module, Normalization):
                module.for_compiler = for_compiler

    def _stack(self, layers: list[Any], weights: str) -> list[tuple[SelfAttention, FeedForward]]:
        return [
            (SelfAttention(self.config, layer, weights), FeedForward(self.config, layer, weights)) for layer in layers
        ]

    @contextmanager
    def unpacked(self) -> Iterator[None]:
        """Makes the weights ready; every function that is traced does so once, outside of its loops."""
        weights = [module for module in self.submodules if isinstance(module, Weight) and module is not self.embedding]
        for weight in weights:
            weight.unpack()
        try:
            yield
        finally:
            for weight in weights:
                weight.pack()

    def _at(self, positions: Any) -> tuple[Any, Any]:
        """What is added to embeddings at positions `[sentences or 1, length]`, and how queries and keys are turned."""
        if self.rotations is not None:
            return 0.0, tf.gather(self.rotations, positions)[:, None]
        # Only a gpt's source and output together can be longer than what it has learned positions for.
        return tf.gather(self.positions, tf.minimum(positions, self.positions.shape[0] - 1)), None

    def _split(self, projected: Any, length: Any, turned: Any = None) -> Any:
        """`[sentences * length, n * width]` to `[n, sentences, heads, length, size]`; queries and keys turned."""
        parts = projected.shape[-1] // self.config.hidden_dim
        projected = tf.reshape(projected, (-1, length, parts, self.heads, self.size))
        projected = tf.transpose(projected, (2, 0, 3, 1, 4))
        return projected if turned is None else tf.concat([rotate(projected[:2], turned), projected[2:]], axis=0)

    def _heads(self, projected: Any, length: Any) -> Any:
        """`[sentences * length, width]` to `[sentences, heads, length, size]`."""
        return tf.transpose(tf.reshape(projected, (-1, length, self.heads, self.size)), (0, 2, 1, 3))

    def encode(self, source: Any) -> Memory:
        """Reads the source.

        Args:
            source: int32 `[sentences, source length]`, ending in `eos`, padded.
        """
        length = tf.shape(source)[1]
        real = tf.not_equal(source, self.config.pad_id)
        bias = tf.where(real, 0.0, MASKED)[:, None, None, :]
        visible = bias + _ahead(length) if self.prompted else bias
        # Products run over the real pieces only; attention over the padded ones.
        where = tf.where(tf.reshape(real, (-1,)))[:, 0]
        back = tf.reshape(tf.cumsum(tf.cast(tf.reshape(real, (-1,)), tf.int32)), (-1,)) - 1
        back = tf.maximum(back, 0)
        added, turned = self._at(tf.range(length)[None])
        rows = self.embedding.rows(tf.gather(tf.reshape(source, (-1,)), where))
        if turned is None:
            rows += tf.gather(added[0], tf.cast(where, tf.int32) % length)
        kept = []
        for attention, feed_forward in self.decoder if self.prompted else self.encoder:
            projected = tf.gather(attention.queries_keys_values(rows), back)
            queries, keys, values = tf.unstack(self._split(projected, length, turned), 3)
            kept += [keys, values]
            rows = attention.add(rows, tf.gather(attend(queries, (keys, values, visible)), where))
            rows = feed_forward(rows)
        if self.prompted:
            return Memory(tf.stack(kept), bias)
        projected = tf.gather(self.keys_values(self.encoded.before(rows)), back)
        return Memory(self._split(projected, length), bias)

    def _first(self, memory: Memory) -> Any:
        """The position of `bos`, `[sentences or 1, 1]`: behind a gpt's source."""
        if self.prompted:
            return tf.math.count_nonzero(tf.equal(memory.bias[:, 0, 0], 0), axis=1, keepdims=True, dtype=tf.int32)
        return tf.zeros((1, 1), tf.int32)

    def empty_caches(self, sentences: Any, hypotheses: Any, positions: Any) -> tuple[Any, ...]:
        """Room for the keys and values of some positions.

        Args:
            sentences: How many.
            hypotheses: Of each sentence.
            positions: How many.

        Returns:
            One cache a layer, `[2 * sentences * heads, positions, hypotheses * size / group, group]`.
        """
        shape = (2 * sentences * self.heads, positions, hypotheses * self.size // self.group, self.group)
        return tuple(tf.zeros(shape) for _ in self.decoder)

    def move_caches(self, caches: tuple[Any, ...], going: Any, growth: Any) -> tuple[Any, ...]:
        """Keeps the caches of some sentences, with room for more positions.

        Args:
            caches: The caches.
            going: int `[kept]`: which sentences to keep.
            growth: Positions to add.

        Returns:
            The caches of these sentences.
        """
        rows, room, width, _ = tf.unstack(tf.shape(caches[0]))
        # What is written later is masked until then: here it is whatever lies at the end.
        positions = tf.minimum(tf.range(room + growth), room - 1)
        kept = tf.reshape(tf.range(rows), (2, -1, self.heads))
        kept = tf.reshape(tf.gather(kept, going, axis=1), (-1, 1)) * room + positions
        wide = (-1, caches[0].shape[2] or width, self.group)
        return tuple(tf.gather(tf.reshape(cache, wide), kept) for cache in caches)

    def step(self, ids: Any, position: Any, caches: tuple[Any, ...], room: Any, mask: Any, memory: Memory) -> Any:
        """Decodes one more piece of several hypotheses of each sentence.

        Args:
            ids: int32 `[sentences, hypotheses]`: the last piece of each; no more of them than the caches have
                places for.
            position: Position of these pieces in the output, a scalar.
            caches: Those of the positions before.
            room: Number of positions that the caches have room for.
            mask: `[sentences, 1, hypotheses, room * places]`.
            memory: What `encode` returned.

        Returns:
            The logits, float32 `[sentences * hypotheses, vocabulary]`, and the caches.
        """
        hypotheses = ids.shape[1] or tf.shape(ids)[1]
        wide = caches[0].shape[2]
        places = hypotheses if wide is None else wide * self.group // self.size
        # Made once, not for every layer.
        shape = tf.stack([2, -1, self.heads, room * places, self.size])
        write = self._writer(caches[0], position)
        grown = []

        def own(number: int, keys_values: Any) -> Any:
            if keys_values.shape[3] is not None and keys_values.shape[3] < places:
                keys_values = tf.pad(keys_values, [[0, 0], [0, 0], [0, 0], [0, places - keys_values.shape[3]], [0, 0]])
            added = tf.reshape(keys_values, (-1, places * self.size // self.group, self.group))
            cache = write(caches[number], added)
            grown.append(cache)
            keys, values = tf.unstack(tf.reshape(cache, shape))
            return keys, values, mask

        rows = self._run(ids, self._first(memory) + position, own, memory)
        return self.output.logits(rows), tuple(grown)

    def _writer(self, cache: Any, position: Any) -> Callable[[Any, Any], Any]:
        """What writes keys and values of a position into a cache like this one, without that axis."""
        if self.for_compiler:
            rows = tf.shape(cache)[0]
            places = tf.stack([tf.range(rows), tf.fill((rows,), position)], axis=1)
            return lambda cache, added: tf.tensor_scatter_nd_update(cache, places, added)
        # In place, where a scatter copies; but XLA takes constant positions only.
        where, kind = tf.stack([0, position]), TOGETHER[self.group]
        return lambda cache, added: tf.bitcast(put(where, tf.bitcast(cache, kind), tf.bitcast(added, kind)), tf.float32)

    def whole(self, ids: Any, memory: Memory) -> Any:
        """Runs the decoder over whole outputs at once.

        Args:
            ids: int32 `[sentences, length]`, starting with `bos`; padded at the end.
            memory: What `encode` returned.

        Returns:
            What the output layer takes, `[sentences * length, width]`.
        """
        length = tf.shape(ids)[1]
        mask = _ahead(length)
        return self._run(
            ids, self._first(memory) + tf.range(length)[None], lambda number, own: (own[0], own[1], mask), memory
        )

    def _run(self, ids: Any, positions: Any, own: Callable[[int, Any], Any], memory: Memory) -> Any:
        """Runs the decoder's layers.

        Args:
            ids: int32 `[sentences, length]`: positions or hypotheses.
            positions: Where they stand, `[sentences or 1, length or 1]`.
            own: From a layer's number and new keys and values to the keys, values and mask of the output so far.
            memory: What `encode` returned.
        """
        length = ids.shape[1] or tf.shape(ids)[1]
        added, turned = self._at(positions)
        rows = tf.reshape(self.embedding.rows(ids) + added, (-1, self.config.hidden_dim))
        for number, (attention, feed_forward) in enumerate(self.decoder):
            projected = self._split(attention.queries_keys_values(rows), length, turned)
            remembered = (memory.cross[2 * number], memory.cross[2 * number + 1], memory.bias)
            sides = [own(number, projected[1:])]
            if self.prompted:
                sides.append(remembered)
            rows = attention.add(rows, attend(projected[0], *sides))
            if not self.prompted:
                cross = self.cross[number]
                rows = cross.add(rows, attend(self._heads(cross.queries(rows), length), remembered))
            rows = feed_forward(rows)
        return self.last.before(rows)


def _ahead(length: Any) -> Any:
    """The mask that hides what lies ahead, `[length, length]`."""
    return MASKED * (1 - tf.linalg.band_part(tf.ones((length, length)), -1, 0))
