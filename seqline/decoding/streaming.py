"""Decoding that pauses after a few tokens and resumes later, for streaming."""

from typing import Any, NamedTuple

import tensorflow as tf

from seqline.decoding.decoder import Decoder, Memory, separated
from seqline.decoding.layers import MASKED
from seqline.decoding.live import constrained
from seqline.decoding.search_options import Search, either
from seqline.decoding.token_choice import draw


class Stream(NamedTuple):
    """The state of decoding between two calls, as tensors.

    Attributes:
        memory: See `Memory.cross`.
        memory_bias: See `Memory.bias`.
        caches: Keys and values of the tokens so far, see `Decoder.empty_caches`; stacked by layer.
        ids: int32 `[sentences, 1 + tokens]`, starting as `separated` says; padded with `eos` after `eos`.
        log_probability: float32 `[sentences]`: of the tokens so far.
        done: bool `[sentences]`: whether the output has ended.
        memory_ids: See `Memory.source`.
    """

    memory: Any
    memory_bias: Any
    caches: Any
    ids: Any
    log_probability: Any
    done: Any
    memory_ids: Any = ()

    def tensors(self) -> dict[str, Any]:
        """The fields that the model has, by name."""
        return {name: value for name, value in self._asdict().items() if tf.is_tensor(value)}


def begin(model: Decoder, source: Any, room: int) -> Stream:
    """Encodes the sources.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded; see `separated`.
        room: Longest output of all calls.
    """
    source, starts = separated(model.config, source)
    memory, sentences = model.encode(source), tf.shape(source)[0]
    return Stream(
        memory.cross,
        memory.bias,
        tf.stack(model.empty_caches(sentences, 1, room)),
        starts,
        tf.zeros((sentences,)),
        tf.zeros((sentences,), tf.bool),
        memory.source,
    )


def proceed(model: Decoder, stream: Stream, number: Any, room: int, options: Search) -> Stream:
    """Decodes more tokens, greedily or by sampling.

    Args:
        model: The decoder.
        stream: The state so far.
        number: Largest number of tokens to decode.
        room: As for `begin`.
        options: Search options; beam_size and n_best are ignored.
    """
    config, sentences = model.config, tf.shape(stream.ids)[0]
    memory = Memory(tf.unstack(stream.memory, model.parts), stream.memory_bias, stream.memory_ids)
    start = tf.shape(stream.ids)[1] - 1
    end = tf.minimum(start + number, options.max_output_length)
    positions = tf.range(room)

    def step(position: Any, ids: Any, score: Any, done: Any, caches: Any) -> Any:
        mask = tf.where(positions <= position, 0.0, MASKED)[None, None, None]
        logits, caches = model.step(ids[:, -1:], position, caches, room, mask, memory)
        written = tf.reshape(ids[:, 1:], (sentences, position))
        logits, total = constrained(model, logits, written, options)
        chosen = either(
            options.sampling,
            lambda: draw(logits, position, 1, options, config.vocabulary_size),
            lambda: tf.argmax(logits, axis=1, output_type=tf.int32),
        )
        chosen = tf.where(done, config.eos_id, chosen)
        score += tf.where(done, 0.0, tf.gather(logits, chosen, batch_dims=1) - total[:, 0])
        ids = tf.concat([ids, chosen[:, None]], axis=1)
        return position + 1, ids, score, done | tf.equal(chosen, config.eos_id), caches

    caches = tuple(tf.unstack(stream.caches, len(model.decoder)))
    shape = tf.TensorShape((None, None, model.size // model.group, model.group))
    _, ids, score, done, caches = tf.while_loop(
        lambda position, ids, score, done, caches: (position < end) & ~tf.reduce_all(done),
        step,
        (start, stream.ids, stream.log_probability, stream.done, caches),
        (tf.TensorShape(()), tf.TensorShape((None, None)), None, None, tuple(shape for _ in caches)),
    )
    done |= tf.shape(ids)[1] > options.max_output_length
    return stream._replace(ids=ids, log_probability=score, done=done, caches=tf.stack(caches))
