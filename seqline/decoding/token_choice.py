"""Which pieces come next: what the rules forbid, what sampling draws."""

from typing import Any

import tensorflow as tf

from seqline.decoding.search_options import Search, either, lesser

FORBIDDEN = -2e9
COLDEST = 1e-6


def penalize(logits: Any, ids: Any, search: Search) -> Any:
    """Makes pieces less probable that the output has already.

    Args:
        logits: `[rows, vocabulary]`.
        ids: int32 `[rows, length]`: the output so far, without `bos`.
        search: How to search.

    Returns:
        As the logits.
    """

    def penalized() -> Any:
        found = tf.gather(logits, ids, batch_dims=1)
        penalty = search.repetition_penalty
        return tf.tensor_scatter_nd_update(logits, _places(ids), tf.where(found > 0, found / penalty, found * penalty))

    return either(_unequal(search.repetition_penalty, 1.0), penalized, lambda: logits)


def forbid(logits: Any, ids: Any, search: Search, eos_id: int) -> Any:
    """Takes out the pieces that the rules forbid.

    Args:
        logits: `[rows, vocabulary]`.
        ids: int32 `[rows, length]`: the output so far, without `bos`.
        search: How to search.
        eos_id: The end of sentence.

    Returns:
        As the logits.
    """
    rows, length = tf.unstack(tf.shape(ids))
    size = search.no_repeat_ngram_size

    def without_repeats() -> Any:
        # Every n-gram so far; its last piece is forbidden where the others are the last ones of the output.
        grams = tf.gather(ids, tf.range(length - size + 1)[:, None] + tf.range(size), axis=1)
        again = tf.reduce_all(tf.equal(grams[:, :, :-1], ids[:, None, length - size + 1 :]), axis=-1)
        found = tf.where(again, FORBIDDEN, float("inf"))
        return tf.tensor_scatter_nd_min(logits, _places(grams[:, :, -1]), found)

    logits = either(
        _unequal(size, 0),
        lambda: tf.cond(length >= size, without_repeats, lambda: logits),
        lambda: logits,
    )

    def without_end() -> Any:
        places = tf.stack([tf.range(rows), tf.fill((rows,), eos_id)], axis=1)
        return tf.tensor_scatter_nd_update(logits, places, tf.fill((rows,), FORBIDDEN))

    return either(
        _unequal(search.min_output_length, 0),
        lambda: tf.cond(length < search.min_output_length, without_end, lambda: logits),
        lambda: logits,
    )


def draw(logits: Any, position: Any, hypotheses: Any, search: Search) -> Any:
    """Samples a piece for each row.

    All sentences share their noise, so that an output does not depend on the batch that a text is in.

    Args:
        logits: `[sentences * hypotheses, vocabulary]`.
        position: Of the piece.
        hypotheses: Of each sentence.
        search: How to search.

    Returns:
        int32 `[sentences * hypotheses]`.
    """
    vocabulary = logits.shape[1]
    logits = logits / tf.maximum(search.temperature, COLDEST)

    def probable() -> Any:
        ordered = tf.math.top_k(logits, vocabulary).values
        before = tf.cumsum(tf.nn.softmax(ordered), axis=1, exclusive=True)
        # The most probable piece stays, however small top_p is.
        kept = tf.concat([tf.ones_like(before[:, :1], tf.bool), before[:, 1:] < search.top_p], axis=1)
        return tf.reduce_min(tf.where(kept, ordered, float("inf")), axis=1, keepdims=True)

    def highest() -> Any:
        return tf.math.top_k(logits, lesser(search.top_k, vocabulary)).values[:, -1:]

    everything = tf.fill((tf.shape(logits)[0], 1), FORBIDDEN / COLDEST)
    least = either(search.top_k > 0, highest, lambda: everything)
    least = tf.maximum(least, either(search.top_p < 1, probable, lambda: everything))
    noise = gumbel(search.seed, position, hypotheses, vocabulary)
    noisy = tf.reshape(logits, (-1, hypotheses, vocabulary)) + noise
    drawn = tf.where(logits >= least, tf.reshape(noisy, (-1, vocabulary)), 2 * FORBIDDEN / COLDEST)
    return tf.argmax(drawn, axis=1, output_type=tf.int32)


def gumbel(seed: Any, position: Any, hypotheses: Any, vocabulary: int) -> Any:
    """Noise whose maximum with logits added is a draw from their softmax (Gumbel 1954).

    Args:
        seed: Of the sampling.
        position: Of the piece.
        hypotheses: How many rows.
        vocabulary: How many columns.
    """
    uniform = tf.random.stateless_uniform((hypotheses, vocabulary), (seed, position), minval=1e-20)
    return -tf.math.log(-tf.math.log(uniform))


def _places(pieces: Any) -> Any:
    """`[rows, n]` pieces as the places `[rows, n, 2]` of their logits."""
    rows, number = tf.unstack(tf.shape(pieces))
    return tf.stack([tf.tile(tf.range(rows)[:, None], (1, number)), pieces], axis=-1)


def _unequal(one: Any, other: Any) -> Any:
    return tf.not_equal(one, other) if tf.is_tensor(one) else one != other
