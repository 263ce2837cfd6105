"""What all searches share: the batch that they decode, and the part of it that is not finished."""

from typing import Any, NamedTuple

import tensorflow as tf

from seqline.decoding.decoder import GROWTH, Decoder, Memory, separated
from seqline.decoding.search_options import Search
from seqline.decoding.shortlist import Listed, Shortlist
from seqline.decoding.token_choice import forbid, penalize

IMPOSSIBLE = -1e9
# Finished sentences are removed once they are at least one in so many.
REMOVAL_RATIO = 8


class Found(NamedTuple):
    """The best hypotheses of each sentence, best first.

    Attributes:
        ids: int32 `[sentences, results, length]`, without the start; padded after `eos`.
        scores: float32 `[sentences, results]`: log probability divided by length ** length_penalty. Very negative
            where the constraints leave fewer results than requested.
    """

    ids: tf.Tensor
    scores: tf.Tensor

    @classmethod
    def nothing(cls, sentences: Any, results: Any, length: Any, padding: int) -> "Found":
        """No hypotheses yet.

        Args:
            sentences: Number of sentences.
            results: Number of results of each.
            length: Length of the rows.
            padding: What they are filled with.
        """
        return cls(tf.fill((sentences, results, length), padding), tf.zeros((sentences, results)))

    def with_rows(self, rows: Any, ids: Any, scores: Any) -> "Found":
        """Sets the results of some sentences.

        Args:
            rows: int `[selected]`: their indices.
            ids: `[selected, results, length]`.
            scores: `[selected, results]`.
        """
        indices = rows[:, None]
        return Found(
            tf.tensor_scatter_nd_update(self.ids, indices, ids),
            tf.tensor_scatter_nd_update(self.scores, indices, scores),
        )


class Live(NamedTuple):
    """The sentences that are still decoded; finished ones are removed from time to time to save computation.

    Attributes:
        room: Positions in the caches.
        rows: `[live]`: the index of each sentence in the batch.
        cross: See `Memory`.
        bias: See `Memory`.
        source: See `Memory`.
        listed: `[live, listed]`: `Listed.added`; none without a shortlist.
    """

    room: Any
    rows: Any
    cross: Any
    bias: Any
    source: Any
    listed: Any

    def worth_steps(self, finished: Any) -> Any:
        """Whether so few sentences are finished that removing them would not pay yet.

        Args:
            finished: Their number.
        """
        return REMOVAL_RATIO * finished < tf.shape(self.rows)[0]

    def kept(self, remaining: Any, growth: Any) -> "Live":
        """The sentences that remain.

        Args:
            remaining: int `[remaining]`: their indices.
            growth: Positions that are added to the caches.
        """
        return Live(
            self.room + growth,
            tf.gather(self.rows, remaining),
            tf.gather(self.cross, remaining, axis=1),
            tf.gather(self.bias, remaining),
            *(tf.nest.map_structure(lambda one: tf.gather(one, remaining), self[-2:])),
        )


class Batch:
    """A batch of encoded sources.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded; see `separated`.
        single: Whether each sentence has one hypothesis.
        shortlist: Selects the tokens to search in; None for all.

    Attributes:
        count: Sentences.
        starts: int32 `[sentences, 1]`: the tokens that start the outputs.
        memory: The result of `Decoder.encode`.
        listed: The shortlist of the batch; None for none.
        joined: Whether the caches begin with the source.
        skipped: Positions of the source in the caches.
        everyone: All sentences.
    """

    def __init__(self, model: Decoder, source: Any, single: bool, shortlist: Shortlist | None) -> None:
        self.model, self.count = model, tf.shape(source)[0]
        source, self.starts = separated(model.config, source)
        self.memory = model.encode(source)
        self.listed: Listed | None = None if shortlist is None else shortlist.of(source)
        self.joined = model.can_join and single
        self.skipped = tf.shape(source)[1] if self.joined else 0
        cross = self.memory.cross[:0] if self.joined else self.memory.cross
        added = () if self.listed is None else self.listed.added
        room = tf.constant(GROWTH) + self.skipped
        self.everyone = Live(room, tf.range(self.count), cross, self.memory.bias, self.memory.source, added)

    @property
    def shapes(self) -> Live:
        """The shapes of live sentences, as invariants of a loop."""
        model, everyone = self.model, self.everyone
        source, listed = tf.nest.map_structure(lambda _: tf.TensorShape((None, None)), everyone[-2:])
        return Live(
            room=tf.TensorShape(()),
            rows=tf.TensorShape((None,)),
            cross=tf.TensorShape((everyone.cross.shape[0], None, model.kv_heads, None, model.size)),
            bias=tf.TensorShape((None, 1, 1, None)),
            source=source,
            listed=listed,
        )

    def memory_of(self, live: Live) -> Memory:
        """What the decoder attends to.

        Args:
            live: Sentences of this batch.
        """
        cross = () if self.joined else tf.unstack(live.cross, self.memory.cross.shape[0])
        listed = None if self.listed is None else self.listed._replace(added=live.listed)
        return Memory(cross, live.bias, live.source, listed)

    def tokens(self, places: Any) -> Any:
        """The tokens at places of the logits, which are others with a shortlist.

        Args:
            places: int32, of any shape.
        """
        return places if self.listed is None else tf.gather(self.listed.ids, places)

    def caches(self, hypotheses: Any) -> tuple[Any, ...]:
        """The first caches.

        Args:
            hypotheses: Number of hypotheses of each sentence.
        """
        if self.joined:
            return self.model.source_caches(self.memory, GROWTH)
        return self.model.empty_caches(self.count, hypotheses, GROWTH)

    def cache_shapes(self, hypotheses: int | None) -> tuple[Any, ...]:
        """The shapes of the caches, as invariants of a loop.

        Args:
            hypotheses: As for `caches`; None if it is not known.
        """
        model = self.model
        width = None if hypotheses is None else hypotheses * model.size // model.group
        return tuple(tf.TensorShape((None, None, width, model.group)) for _ in range(model.config.decoder_layers))

    def growth(self, live: Live, position: Any) -> Any:
        """Positions to add to the caches, 0 unless they are full.

        Args:
            live: Sentences of this batch.
            position: Tokens decoded so far.
        """
        # Growing copies the source too, if the caches begin with it: a long one less often.
        more = GROWTH + self.skipped // GROWTH
        return tf.where(tf.equal(self.skipped + position, live.room), more, 0)


def normalized(scores: Any, length: Any, penalty: Any) -> Any:
    """Divides log probabilities by a power of the length; impossible ones stay as they are.

    Args:
        scores: float32, of any shape.
        length: Tokens, `eos` included.
        penalty: The exponent.
    """
    longer = tf.pow(tf.cast(length, tf.float32), penalty)
    return tf.where(scores > IMPOSSIBLE, scores / longer, scores)


def constrained(
    model: Decoder, logits: Any, written: Any, options: Search, listed: Listed | None = None
) -> tuple[Any, Any]:
    """Applies the options that change logits.

    Args:
        model: The decoder.
        logits: The result of its `step`.
        written: int32 `[sentences * hypotheses, tokens]`: the outputs so far, without their start.
        options: Search options.
        listed: The shortlist of the batch; None for none.

    Returns:
        The logits for the choice of a token, and the logarithm of the sum of the exponentials of those that count for
        its score, `[sentences * hypotheses, 1]`.
    """
    logits = penalize(logits, written, options)
    total = model.output.log_total(logits, bounded=not tf.is_tensor(options.repetition_penalty))
    if listed is None:
        logits = forbid(model.output.allowed(logits), written, options, model.config.eos_id)
    return logits, total
