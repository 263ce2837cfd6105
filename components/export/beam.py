"""Beam search with caches, in a TensorFlow graph; a beam of one is greedy search."""

from typing import Any, NamedTuple

import tensorflow as tf

from components.export.exported import Decoding
from components.train.model import Transformer

IMPOSSIBLE = -1e9


class Found(NamedTuple):
    """The best hypothesis of each sentence.

    Attributes:
        ids: int32 `[sentences, length]`, without `bos`; filled up with `pad` from `eos` on.
        scores: float32 `[sentences]`: log probability divided by length ** length_penalty.
    """

    ids: tf.Tensor
    scores: tf.Tensor


class _State(NamedTuple):
    """What one step hands to the next; `live` rows only, so that finished sentences cost nothing."""

    position: Any  # pieces decoded so far
    rows: Any  # [live] which sentence each is
    ids: Any  # [live, beam, position + 1], starting with bos
    scores: Any  # [live, beam] log probabilities
    caches: Any  # [layers, 2, live * beam, heads, position, size]
    memory_bias: Any  # [live, 1, 1, source length]
    cross: Any  # [layers, 2, live, heads, source length, size]
    best_ids: Any  # [live, max_output_length] best finished hypothesis so far
    best_scores: Any  # [live] its normalized score
    out_ids: Any  # [sentences, max_output_length]
    out_scores: Any  # [sentences]


def beam_search(model: Transformer, source: tf.Tensor, decoding: Decoding) -> Found:
    """Finds the most probable output of each source.

    A hypothesis ends with `eos`, which counts for its length, or at `max_output_length`. A sentence is finished
    when no live hypothesis, however it goes on, can beat the best that has ended: a log probability only falls,
    so a live one divided by the largest possible length bounds what it can reach.

    Args:
        model: The Transformer.
        source: int32 `[sentences, source length]`, ending in `eos`, padded.
        decoding: How to decode.
    """
    config, beam, limit = model.config, decoding.beam_size, decoding.max_output_length
    size = config.width // config.heads
    sentences = tf.shape(source)[0]
    memory = model.encode(source)
    cross = tf.stack([tf.stack(pair) for pair in model.cross_keys_values(memory)])
    candidates = min(2 * beam, config.vocabulary_size)

    def normalized(scores: Any, length: Any) -> Any:
        return scores / tf.pow(tf.cast(length, tf.float32), decoding.length_penalty)

    def step(*values: Any) -> tuple[_State]:
        state = _State(*values)
        live = tf.shape(state.rows)[0]
        pairs = [(state.cross[i, 0], state.cross[i, 1]) for i in range(config.decoder_layers)]
        logits, caches = model.step(state.ids[:, :, -1], state.position, state.caches, pairs, state.memory_bias)
        log_probabilities = tf.nn.log_softmax(logits)
        # Only the best few of each hypothesis can be among the best few of its sentence.
        top, pieces = tf.math.top_k(log_probabilities, candidates)
        totals = tf.reshape(state.scores[:, :, None] + top, (live, beam * candidates))
        scores, chosen = tf.math.top_k(totals, candidates)
        parents = chosen // candidates
        next_ids = tf.gather(tf.reshape(pieces, (live, beam * candidates)), chosen, batch_dims=1)
        length = state.position + 1
        ended = tf.equal(next_ids, config.eos_id)

        # Hypotheses that end here, against the best that ended before.
        ending = tf.where(ended, normalized(scores, length), IMPOSSIBLE)
        winner = tf.argmax(ending, axis=1, output_type=tf.int32)
        winner_scores = tf.gather(ending, winner, batch_dims=1)
        winner_parents = tf.gather(parents, winner, batch_dims=1)
        winner_ids = tf.gather(state.ids, winner_parents, batch_dims=1)[:, 1:]
        winner_ids = tf.concat([winner_ids, tf.fill((live, 1), config.eos_id)], axis=1)
        winner_ids = tf.pad(winner_ids, [[0, 0], [0, limit - length]], constant_values=config.pad_id)
        better = winner_scores > state.best_scores
        best_ids = tf.where(better[:, None], winner_ids, state.best_ids)
        best_scores = tf.where(better, winner_scores, state.best_scores)

        # The best that go on.
        scores, kept = tf.math.top_k(tf.where(ended, 2 * IMPOSSIBLE, scores), beam)
        parents, next_ids = (tf.gather(values, kept, batch_dims=1) for values in (parents, next_ids))
        ids = tf.concat([tf.gather(state.ids, parents, batch_dims=1), next_ids[:, :, None]], axis=2)

        # At the limit what is still live ends as it is, unless something has properly ended.
        cut = tf.logical_and(tf.equal(length, limit), best_scores <= IMPOSSIBLE)
        rest_ids = tf.pad(ids[:, 0, 1:], [[0, 0], [0, limit - length]], constant_values=config.pad_id)
        best_ids = tf.where(cut[:, None], rest_ids, best_ids)
        best_scores = tf.where(cut, normalized(scores[:, 0], length), best_scores)

        done = tf.logical_or(best_scores >= normalized(scores[:, 0], limit), tf.equal(length, limit))
        finished = tf.where(done)[:, 0]
        where = tf.gather(state.rows, finished)[:, None]
        out_ids = tf.tensor_scatter_nd_update(state.out_ids, where, tf.gather(best_ids, finished))
        out_scores = tf.tensor_scatter_nd_update(state.out_scores, where, tf.gather(best_scores, finished))

        # Carry on with the sentences that are not finished; the caches follow their hypotheses.
        going = tf.cast(tf.where(tf.logical_not(done))[:, 0], tf.int32)
        cache_rows = tf.reshape(tf.gather(tf.range(live)[:, None] * beam + parents, going), (-1,))
        any_finished = tf.reduce_any(done)
        rows, ids, scores, best_ids, best_scores = (
            tf.gather(values, going) for values in (state.rows, ids, scores, best_ids, best_scores)
        )
        return (
            _State(
                length,
                rows,
                ids,
                scores,
                tf.gather(caches, cache_rows, axis=2),
                tf.cond(any_finished, lambda: tf.gather(state.memory_bias, going), lambda: state.memory_bias),
                tf.cond(any_finished, lambda: tf.gather(state.cross, going, axis=2), lambda: state.cross),
                best_ids,
                best_scores,
                out_ids,
                out_scores,
            ),
        )

    dtype = model.compute_dtype
    start = _State(
        position=tf.constant(0),
        rows=tf.range(sentences),
        ids=tf.fill((sentences, beam, 1), config.bos_id),
        # All hypotheses start alike: let only the first one count.
        scores=tf.tile(tf.constant([[0.0] + [IMPOSSIBLE] * (beam - 1)]), (sentences, 1)),
        caches=tf.zeros((config.decoder_layers, 2, sentences * beam, config.heads, 0, size), dtype),
        memory_bias=model.padding_bias(source),
        cross=cross,
        best_ids=tf.fill((sentences, limit), config.pad_id),
        best_scores=tf.fill((sentences,), IMPOSSIBLE),
        out_ids=tf.fill((sentences, limit), config.pad_id),
        out_scores=tf.zeros((sentences,)),
    )
    shapes = _State(
        position=tf.TensorShape(()),
        rows=tf.TensorShape((None,)),
        ids=tf.TensorShape((None, beam, None)),
        scores=tf.TensorShape((None, beam)),
        caches=tf.TensorShape((config.decoder_layers, 2, None, config.heads, None, size)),
        memory_bias=tf.TensorShape((None, 1, 1, None)),
        cross=tf.TensorShape((config.decoder_layers, 2, None, config.heads, None, size)),
        best_ids=tf.TensorShape((None, limit)),
        best_scores=tf.TensorShape((None,)),
        out_ids=tf.TensorShape((None, limit)),
        out_scores=tf.TensorShape((None,)),
    )
    (end,) = (
        tf.while_loop(
            lambda *values: tf.shape(_State(*values).rows)[0] > 0,
            lambda *values: step(*values)[0],
            start,
            shape_invariants=shapes,
        ),
    )
    return Found(end.out_ids, end.out_scores)
