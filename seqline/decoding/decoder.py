"""The inference form of the trained model: no padding in the source, one output step at a time."""

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
    grouped,
    put,
)
from seqline.decoding.lexicon import Lexicon
from seqline.decoding.output import Output
from seqline.decoding.pointer import Pointer
from seqline.decoding.shortlist import Listed, Shortlist
from seqline.decoding.weights import Weight
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.positions import distance_buckets, rotate, rotations, sinusoids

GROWTH = 8
UNPACKED_BYTES = 256 << 20
# TensorFlow copies to a slice element by element; groups of floats are copied as one element of these types.
GROUP_TYPES = {1: tf.float32, 2: tf.complex64, 4: tf.complex128}


class Memory(NamedTuple):
    """Keys and values of the source that the decoder attends to: the encoder's output, or a gpt's own source.

    Attributes:
        cross: Keys and values by layer, `[parts, sentences, kv_heads, source length, size]`; or as many tensors.
            None of them where a gpt's caches begin with its source, see `Decoder.source_caches`.
        bias: `[sentences, 1, 1, source length]`: 0, or very negative at padding.
        source: Of a pointer, whose keys are the last part of `cross`: int32 `[sentences, source length]`, the tokens
            that may be copied, padded.
        listed: The shortlist of the batch, or none: then the whole vocabulary is searched.
    """

    cross: Any
    bias: tf.Tensor
    source: Any = ()
    listed: Listed | None = None


class Decoder(tf.Module):
    """The trained model's weights, prepared for inference.

    A cache holds the keys and values of all hypotheses of a sentence next to each other, and a mask selects those of a
    hypothesis's own past. So hypotheses can be reordered without copying a cache. A gpt's keys and values of the source
    are stored separately, once for all hypotheses; or before those of the output, if there is one hypothesis.

    Args:
        model: The trained model.
        weights: Storage type of its matrices: float32, bfloat16 or int8.
        longest: Smallest number of positions to support.
        for_compiler: Whether XLA compiles the decoder.
        unpacked_bytes: Matrices that take more bytes as float32 stay packed; see `seqline.decoding.weights`.
        lexicon: Makes a shortlist; None for none.
    """

    def __init__(
        self,
        model: LanguageModel,
        weights: str = "float32",
        longest: int = 0,
        for_compiler: bool = False,
        unpacked_bytes: int = UNPACKED_BYTES,
        lexicon: Lexicon | None = None,
    ) -> None:
        super().__init__()
        self.for_compiler, self.unpacked_bytes = for_compiler, unpacked_bytes
        self.config = config = model.config
        self.heads, self.kv_heads, self.size = config.num_heads, config.kv_heads, config.head_size
        self.group = math.gcd(self.size, max(GROUP_TYPES))
        self.prompted = config.architecture == "gpt"
        embedding = np.array(model.embedding) * np.float32(config.hidden_dim**0.5 if config.embedding_scale else 1)
        self.embedding = Weight(embedding, weights, scaled=0)
        longest = max(longest, config.max_length)
        self.rotations = tf.constant(rotations(config, longest)) if config.positions == "rotary" else None
        self.positions = None
        if config.positions in ("sinusoidal", "learned"):
            learned = model.learned_positions
            self.positions = tf.constant(
                sinusoids(longest, config.hidden_dim) if learned is None else np.array(learned)
            )
        self.distances = Distances(config, model.decoder_relative, longest, both=False)
        self.source_distances = self.distances
        self.encoder = [] if self.prompted else self._stack(model.encoder, weights)
        self.decoder = self._stack(model.decoder, weights)
        self.cross = [] if self.prompted else [CrossAttention(config, layer, weights) for layer in model.decoder]
        self.last = Normalization(config, model.decoder_norm)
        self.pointer: Pointer | None = None
        if not self.prompted:
            self.source_distances = Distances(config, model.encoder_relative, longest, both=True)
            self.encoded = Normalization(config, model.encoder_norm)
            more = []
            if config.pointer:
                self.pointer = Pointer(config, model.pointer, self.last, weights)
                more.append(np.array(model.pointer.keys.kernel))
            self.keys_values = CrossAttention.keys_values(model.decoder, self.encoded, weights, more)
        kernel = np.array(model.output_embedding).T * np.float32(config.logit_scale)
        bias = np.zeros(kernel.shape[1], np.float32) if model.output_bias is None else np.array(model.output_bias)
        kernel, bias = self.last.into(kernel, bias)
        reach = 1.0 if self.last.first else self.decoder[-1][1].norm.reach
        ends = (config.eos_id, *config.other_eos_ids)
        self.output = Output(kernel, bias, reach, weights, config.suppressed_ids, ends)
        self.shortlist = None if lexicon is None else Shortlist(kernel, bias, lexicon, weights)
        for module in self.submodules:
            if isinstance(module, Normalization):
                module.for_compiler = for_compiler

    def _stack(self, layers: list[Any], weights: str) -> list[tuple[SelfAttention, FeedForward]]:
        return [
            (SelfAttention(self.config, layer, weights), FeedForward(self.config, layer, weights)) for layer in layers
        ]

    @contextmanager
    def in_bfloat16(self) -> Iterator[None]:
        """Functions that are traced meanwhile multiply stored bfloat16 and int8 in bfloat16."""
        for weight in self._matrices:
            weight.native = True
        try:
            yield
        finally:
            for weight in self._matrices:
                weight.native = False

    @property
    def packed(self) -> bool:
        """Whether the matrices are too large to be unpacked all at once."""
        return sum(weight.size for weight in self._matrices) > self.unpacked_bytes

    @property
    def _matrices(self) -> list[Weight]:
        """All weights but the embedding, of which only rows are read."""
        return [module for module in self.submodules if isinstance(module, Weight) and module is not self.embedding]

    @contextmanager
    def unpacked(self) -> Iterator[None]:
        """Unpacks the weights; every traced function does so once, outside its loops. A large model's stay packed."""
        packed = self.packed
        weights = [weight for weight in self._matrices if not (packed and weight.size)]
        for weight in weights:
            weight.unpack()
        try:
            yield
        finally:
            for weight in weights:
                weight.pack()

    def _at(self, positions: Any) -> tuple[Any, Any]:
        """Position embeddings and rotations of queries and keys at positions `[sentences or 1, length]`, or None."""
        if self.rotations is not None:
            return None, tf.gather(self.rotations, positions)[:, None]
        if self.positions is None:
            return None, None
        # Only a gpt's source and output together can exceed its learned positions.
        return tf.gather(self.positions, tf.minimum(positions, self.positions.shape[0] - 1)), None

    @property
    def parts(self) -> int:
        """Tensors in `Memory.cross`."""
        return 2 * len(self.decoder) + (self.pointer is not None)

    def _split(self, projected: Any, length: Any) -> Any:
        """`[sentences * length, n * kv_heads * size]` to `[n, sentences, kv_heads, length, size]`."""
        parts = projected.shape[-1] // (self.kv_heads * self.size)
        if _is_one(length):
            projected = tf.reshape(projected, (-1, parts, self.kv_heads, 1, self.size))
            return tf.stack(tf.unstack(projected, axis=1))
        projected = tf.reshape(projected, (-1, length, parts, self.kv_heads, self.size))
        return tf.transpose(projected, (2, 0, 3, 1, 4))

    def _own(self, projected: Any, length: Any, rotation: Any) -> tuple[Any, Any]:
        """The queries of self-attention, and keys and values as `_split` returns them; with rotations, rotated."""
        if self.heads == self.kv_heads:
            if rotation is None and _is_one(length):
                queries, *keys_values = tf.unstack(tf.reshape(projected, (-1, 3, self.heads, 1, self.size)), axis=1)
                return queries, tf.stack(keys_values)
            split = self._split(projected, length)
            if rotation is not None:
                split = tf.concat([rotate(split[:2], rotation), split[2:]], axis=0)
            return split[0], split[1:]
        queries = self._heads(projected[:, : self.heads * self.size], length)
        keys_values = self._split(projected[:, self.heads * self.size :], length)
        if rotation is None:
            return queries, keys_values
        return rotate(queries, rotation), tf.concat([rotate(keys_values[:1], rotation), keys_values[1:]], axis=0)

    def _heads(self, projected: Any, length: Any) -> Any:
        """`[sentences * length, heads * size]` to `[sentences, heads, length, size]`."""
        if _is_one(length):
            return tf.reshape(projected, (-1, self.heads, 1, self.size))
        return tf.transpose(tf.reshape(projected, (-1, length, self.heads, self.size)), (0, 2, 1, 3))

    def encode(self, source: Any) -> Memory:
        """Encodes the source.

        Args:
            source: int32 `[sentences, source length]`, padded; see `separated`.
        """
        length = tf.shape(source)[1]
        real = tf.not_equal(source, self.config.padding)
        bias = tf.where(real, 0.0, MASKED)[:, None, None, :]
        visible = bias + _causal(length) if self.prompted else bias
        visible = self._grouped(self.source_distances.added(visible, tf.range(length), tf.range(length)), length)
        # Matrix products run over the real tokens only, attention over the padded sequences.
        indices = tf.where(tf.reshape(real, (-1,)))[:, 0]
        back = tf.reshape(tf.cumsum(tf.cast(tf.reshape(real, (-1,)), tf.int32)), (-1,)) - 1
        back = tf.maximum(back, 0)
        added, rotation = self._at(tf.range(length)[None])
        rows = self.embedding.rows(tf.gather(tf.reshape(source, (-1,)), indices))
        if added is not None:
            rows += tf.gather(added[0], tf.cast(indices, tf.int32) % length)
        cross = []
        for attention, feed_forward in self.decoder if self.prompted else self.encoder:
            projected = tf.gather(attention.queries_keys_values(rows), back)
            queries, keys_values = self._own(projected, length, rotation)
            keys, values = tf.unstack(keys_values)
            cross += [keys, values]
            rows = attention.add(rows, tf.gather(attend(queries, (keys, values, visible)), indices))
            rows = feed_forward(rows)
        if self.prompted:
            return Memory(tf.stack(cross), bias)
        projected = tf.gather(self.keys_values(self.encoded.before(rows)), back)
        cross = self._split(projected, length)
        return Memory(cross, bias) if self.pointer is None else Memory(cross, bias, self.pointer.tokens(source))

    def _first(self, memory: Memory) -> Any:
        """The position of the token that starts the output, `[sentences or 1, 1]`: after a gpt's source."""
        if self.prompted:
            return tf.math.count_nonzero(tf.equal(memory.bias[:, 0, 0], 0), axis=1, keepdims=True, dtype=tf.int32)
        return tf.zeros((1, 1), tf.int32)

    def empty_caches(self, sentences: Any, hypotheses: Any, positions: Any) -> tuple[Any, ...]:
        """Allocates caches of keys and values.

        Args:
            sentences: Number of sentences.
            hypotheses: Number of hypotheses of each sentence.
            positions: Number of positions.

        Returns:
            One cache per layer, `[2 * sentences * kv_heads, positions, hypotheses * size / group, group]`.
        """
        shape = (2 * sentences * self.kv_heads, positions, hypotheses * self.size // self.group, self.group)
        return tuple(tf.zeros(shape) for _ in self.decoder)

    @property
    def can_join(self) -> bool:
        """Whether caches may begin with the source: one attention is faster than two that are put together."""
        return self.prompted and self.distances.biases is None

    def source_caches(self, memory: Memory, positions: Any) -> tuple[Any, ...]:
        """The caches of one hypothesis, beginning with the source.

        Args:
            memory: The result of `encode`.
            positions: Number of positions after the source.

        Returns:
            As `empty_caches`.
        """
        layers, length = len(self.decoder), tf.shape(memory.cross)[3]
        shape = tf.stack([layers, -1, length, self.size // self.group, self.group])
        # Keys of all sentences, then values, as in the cache of a layer.
        caches = tf.pad(tf.reshape(memory.cross, shape), [[0, 0], [0, 0], [0, positions], [0, 0], [0, 0]])
        return tuple(tf.unstack(caches, layers))

    def move_caches(self, caches: tuple[Any, ...], remaining: Any, growth: Any) -> tuple[Any, ...]:
        """Selects the caches of some sentences and grows them.

        Args:
            caches: The caches.
            remaining: int `[selected]`: indices of the sentences.
            growth: Positions to add.

        Returns:
            The caches of these sentences.
        """
        rows, room, width, _ = tf.unstack(tf.shape(caches[0]))
        # New positions repeat the last one; they are masked until they are written.
        positions = tf.minimum(tf.range(room + growth), room - 1)
        indices = tf.reshape(tf.range(rows), (2, -1, self.kv_heads))
        indices = tf.reshape(tf.gather(indices, remaining, axis=1), (-1, 1)) * room + positions
        wide = (-1, caches[0].shape[2] or width, self.group)
        return tuple(tf.gather(tf.reshape(cache, wide), indices) for cache in caches)

    def step(
        self, ids: Any, position: Any, caches: tuple[Any, ...], room: Any, mask: Any, memory: Memory, before: Any = 0
    ) -> Any:
        """Decodes one more token of several hypotheses of each sentence.

        Args:
            ids: int32 `[sentences, hypotheses]`: the last token of each; at most as many as the caches have slots for.
            position: Position of these tokens in the output, a scalar.
            caches: The caches of the previous positions.
            room: Number of positions in the caches.
            mask: `[sentences, 1, hypotheses, room * slots]`.
            memory: The result of `encode`.
            before: Number of positions in the caches before the output's.

        Returns:
            The logits, float32 `[sentences * hypotheses, vocabulary]`, with a pointer log probabilities, with a
            shortlist those of its tokens; and the caches.
        """
        hypotheses = ids.shape[1] or tf.shape(ids)[1]
        wide = caches[0].shape[2]
        slots = hypotheses if wide is None else wide * self.group // self.size
        # Built once, not for every layer.
        shape = tf.stack([2, -1, self.kv_heads, room * slots, self.size])
        mask = self._grouped(self.distances.added(mask, [position], tf.range(room), slots), hypotheses)
        write = self._writer(caches[0], before + position)
        grown = []

        def own(number: int, keys_values: Any) -> Any:
            if keys_values.shape[3] is not None and keys_values.shape[3] < slots:
                keys_values = tf.pad(keys_values, [[0, 0], [0, 0], [0, 0], [0, slots - keys_values.shape[3]], [0, 0]])
            added = tf.reshape(keys_values, (-1, slots * self.size // self.group, self.group))
            cache = write(caches[number], added)
            grown.append(cache)
            keys, values = tf.unstack(tf.reshape(cache, shape))
            return keys, values, mask

        rows = self._run(ids, self._first(memory) + position, own, memory, [position])
        logits = self.output.logits(rows) if memory.listed is None else memory.listed.logits(rows)
        if self.pointer is not None:
            logits = self.pointer.mixed(logits, self.output.log_total(logits), rows, memory, hypotheses)
        return logits, tuple(grown)

    def _writer(self, cache: Any, position: Any) -> Callable[[Any, Any], Any]:
        """Returns a function that writes the keys and values of a position into a cache of this shape."""
        if self.for_compiler:
            rows = tf.shape(cache)[0]
            indices = tf.stack([tf.range(rows), tf.fill((rows,), position)], axis=1)
            return lambda cache, added: tf.tensor_scatter_nd_update(cache, indices, added)
        # In place, unlike a scatter; but XLA supports constant positions only.
        index, kind = tf.stack([0, position]), GROUP_TYPES[self.group]
        return lambda cache, added: tf.bitcast(put(index, tf.bitcast(cache, kind), tf.bitcast(added, kind)), tf.float32)

    def whole(self, ids: Any, memory: Memory) -> Any:
        """Runs the decoder over whole outputs at once.

        Args:
            ids: int32 `[sentences, length]`, starting as `separated` says; padded at the end.
            memory: The result of `encode`.

        Returns:
            The input of the output layer, `[sentences * length, width]`.
        """
        length = tf.shape(ids)[1]
        order = tf.range(length)
        mask = self._grouped(self.distances.added(_causal(length)[None, None], order, order), length)
        return self._run(
            ids, self._first(memory) + order[None], lambda number, own: (own[0], own[1], mask), memory, order
        )

    def _grouped(self, mask: Any, length: Any) -> Any:
        return grouped(mask, self.heads, self.kv_heads, length)

    def _run(self, ids: Any, positions: Any, own: Callable[[int, Any], Any], memory: Memory, order: Any) -> Any:
        """Runs the decoder's layers.

        Args:
            ids: int32 `[sentences, length]`: positions or hypotheses.
            positions: Their positions, `[sentences or 1, length or 1]`.
            own: From a layer's number and new keys and values to the keys, values and mask of the output so far.
            memory: The result of `encode`.
            order: Positions in the output, `[length or 1]`.
        """
        length = ids.shape[1] or tf.shape(ids)[1]
        added, rotation = self._at(positions)
        rows = self.embedding.rows(ids)
        rows = tf.reshape(rows if added is None else rows + added, (-1, self.config.hidden_dim))
        bias = memory.bias
        if self.prompted:
            bias = self.distances.to_source(bias, self._first(memory), order)
        bias = self._grouped(bias, length)
        # The caches may hold the source.
        apart = not isinstance(memory.cross, tuple) or len(memory.cross) > 0

        def source(number: int) -> tuple[Any, Any, Any]:
            return memory.cross[2 * number], memory.cross[2 * number + 1], bias

        for number, (attention, feed_forward) in enumerate(self.decoder):
            queries, keys_values = self._own(attention.queries_keys_values(rows), length, rotation)
            sides = [own(number, keys_values)]
            if self.prompted and apart:
                sides.append(source(number))
            rows = attention.add(rows, attend(queries, *sides))
            if not self.prompted:
                cross = self.cross[number]
                rows = cross.add(rows, attend(self._heads(cross.queries(rows), length), source(number)))
            rows = feed_forward(rows)
        return self.last.before(rows)


class Distances(tf.Module):
    """The biases of relative positions; without a table, none.

    Args:
        config: The model's configuration.
        table: The trained biases, `[relative_buckets, heads]`, or None.
        longest: Number of positions.
        both: Whether queries see later keys too.
    """

    def __init__(self, config: TransformerConfig, table: Any, longest: int, both: bool) -> None:
        super().__init__()
        self.longest, self.biases = longest, None
        if table is not None:
            self.biases = tf.constant(np.array(table)[distance_buckets(config, longest, both)])

    def added(self, mask: Any, queries: Any, keys: Any, slots: Any = 1) -> Any:
        """Adds the biases to a mask, `[sentences or 1, 1, n, keys * slots]`, with as many or 1 queries.

        Args:
            mask: The mask.
            queries: Positions of the queries, `[queries]`.
            keys: Positions of the keys, `[keys]`.
            slots: Keys at each position.
        """
        if self.biases is None:
            return mask
        biases = self._at(tf.convert_to_tensor(queries)[:, None] - keys)
        if not (isinstance(slots, int) and slots == 1):
            biases = tf.repeat(biases, slots, axis=1)
        return mask + tf.transpose(biases, (2, 0, 1))[None]

    def to_source(self, mask: Any, first: Any, queries: Any) -> Any:
        """Adds the biases to the mask of the source that a gpt continues, `[sentences, 1, 1, source length]`.

        Args:
            mask: The mask.
            first: Length of each source, `[sentences, 1]`.
            queries: Positions of the queries in the output, `[queries]`.
        """
        if self.biases is None:
            return mask
        positions = first + tf.convert_to_tensor(queries)
        biases = self._at(positions[:, :, None] - tf.range(tf.shape(mask)[3]))
        return mask + tf.transpose(biases, (0, 3, 1, 2))

    def _at(self, distances: Any) -> Any:
        last = self.longest - 1
        return tf.gather(self.biases, tf.clip_by_value(distances, -last, last) + last)


def separated(config: TransformerConfig, source: Any) -> tuple[Any, Any]:
    """Separates the token that starts an output from the source: of a prompt from a template, it is the last one.

    Args:
        config: The model's configuration.
        source: int32 `[sentences, source length]`, padded; ending in `eos`, except for prompts from a template.

    Returns:
        What `Decoder.encode` takes, and the tokens that start the outputs, int32 `[sentences, 1]`.
    """
    if config.prompt_form == "seqline":
        return source, tf.fill((tf.shape(source)[0], 1), config.start)
    lengths = tf.math.count_nonzero(tf.not_equal(source, config.padding), axis=1, keepdims=True, dtype=tf.int32)
    # A row without tokens, which only a caller's own ids can have, starts with eos.
    whole = tf.pad(source, [[0, 0], [0, 1]], constant_values=config.eos_id)
    starts = tf.gather(whole, tf.where(lengths > 0, lengths - 1, tf.shape(source)[1]), batch_dims=1)
    rest = tf.where(tf.range(tf.shape(source)[1]) < lengths - 1, source, config.padding)
    return rest[:, : tf.maximum(tf.reduce_max(tf.concat([lengths, [[1]]], axis=0)) - 1, 0)], starts


def _is_one(length: Any) -> bool:
    """Whether a length is known to be 1: then the axis of positions needs no transposition."""
    return isinstance(length, int) and length == 1


def _causal(length: Any) -> Any:
    """The causal mask, `[length, length]`."""
    return MASKED * (1 - tf.linalg.band_part(tf.ones((length, length)), -1, 0))
