"""The choice of the next token: penalties, forbidden tokens and sampling."""

from typing import Any

import tensorflow as tf

from seqline.decoding.search_options import Search, either, lesser

FORBIDDEN = -2e9
COLDEST = 1e-6


def penalize(logits: Any, ids: Any, search: Search) -> Any:
    """Applies the repetition penalty to tokens that the output already has.

    Args:
        logits: `[rows, vocabulary]`.
        ids: int32 `[rows, length]`: the output so far, without `bos`.
        search: Search options.

    Returns:
        The new logits.
    """

    def penalized() -> Any:
        found = tf.gather(logits, ids, batch_dims=1)
        penalty = search.repetition_penalty
        return tf.tensor_scatter_nd_update(logits, _indices(ids), tf.where(found > 0, found / penalty, found * penalty))

    return either(_unequal(search.repetition_penalty, 1.0), penalized, lambda: logits)


def forbid(logits: Any, ids: Any, search: Search, eos_id: int) -> Any:
    """Makes tokens impossible that would repeat an n-gram or end the output too early.

    Args:
        logits: `[rows, vocabulary]`.
        ids: int32 `[rows, length]`: the output so far, without `bos`.
        search: Search options.
        eos_id: The end of sentence.

    Returns:
        The new logits.
    """
    rows, length = tf.unstack(tf.shape(ids))
    size = search.no_repeat_ngram_size

    def without_repeats() -> Any:
        # An n-gram's last token is forbidden if its other tokens are the last ones of the output.
        grams = tf.gather(ids, tf.range(length - size + 1)[:, None] + tf.range(size), axis=1)
        again = tf.reduce_all(tf.equal(grams[:, :, :-1], ids[:, None, length - size + 1 :]), axis=-1)
        found = tf.where(again, FORBIDDEN, float("inf"))
        return tf.tensor_scatter_nd_min(logits, _indices(grams[:, :, -1]), found)

    logits = either(
        _unequal(size, 0),
        lambda: tf.cond(length >= size, without_repeats, lambda: logits),
        lambda: logits,
    )

    def without_end() -> Any:
        indices = tf.stack([tf.range(rows), tf.fill((rows,), eos_id)], axis=1)
        return tf.tensor_scatter_nd_update(logits, indices, tf.fill((rows,), FORBIDDEN))

    return either(
        _unequal(search.min_output_length, 0),
        lambda: tf.cond(length < search.min_output_length, without_end, lambda: logits),
        lambda: logits,
    )


def draw(logits: Any, position: Any, hypotheses: Any, search: Search, tokens: int) -> Any:
    """Samples a token for each row.

    All sentences share the noise, so that an output does not depend on the batch of its text.

    Args:
        logits: `[sentences * hypotheses, vocabulary]`.
        position: Position of the token.
        hypotheses: Number of hypotheses of each sentence.
        search: Search options.
        tokens: Size of the vocabulary without padding, on which the noise of a seed depends.

    Returns:
        int32 `[sentences * hypotheses]`.
    """
    vocabulary = logits.shape[1]
    logits = logits / tf.maximum(search.temperature, COLDEST)

    def probable() -> Any:
        ordered = tf.math.top_k(logits, vocabulary).values
        before = tf.cumsum(tf.nn.softmax(ordered), axis=1, exclusive=True)
        # The most probable token is allowed for any top_p.
        allowed = tf.concat([tf.ones_like(before[:, :1], tf.bool), before[:, 1:] < search.top_p], axis=1)
        return tf.reduce_min(tf.where(allowed, ordered, float("inf")), axis=1, keepdims=True)

    def highest() -> Any:
        return tf.math.top_k(logits, lesser(search.top_k, vocabulary)).values[:, -1:]

    everything = tf.fill((tf.shape(logits)[0], 1), FORBIDDEN / COLDEST)
    least = either(search.top_k > 0, highest, lambda: everything)
    least = tf.maximum(least, either(search.top_p < 1, probable, lambda: everything))
    noise = gumbel(search.seed, position, hypotheses, tokens)
    noise = tf.pad(noise, [[0, 0], [0, vocabulary - tokens]])
    noisy = tf.reshape(logits, (-1, hypotheses, vocabulary)) + noise
    drawn = tf.where(logits >= least, tf.reshape(noisy, (-1, vocabulary)), 2 * FORBIDDEN / COLDEST)
    return tf.argmax(drawn, axis=1, output_type=tf.int32)


def gumbel(seed: Any, position: Any, hypotheses: Any, vocabulary: int) -> Any:
    """Noise whose maximum with logits added is a draw from their softmax (Gumbel 1954).

    Args:
        seed: Seed of the sampling.
        position: Position of the token.
        hypotheses: Number of rows.
        vocabulary: Number of columns.
    """
    uniform = tf.random.stateless_uniform((hypotheses, vocabulary), (seed, position), minval=1e-20)
    return -tf.math.log(-tf.math.log(uniform))


def _indices(tokens: Any) -> Any:
    """The indices `[rows, n, 2]` of the logits of tokens `[rows, n]`."""
    rows, number = tf.unstack(tf.shape(tokens))
    return tf.stack([tf.tile(tf.range(rows)[:, None], (1, number)), tokens], axis=-1)


def _unequal(one: Any, other: Any) -> Any:
    return tf.not_equal(one, other) if tf.is_tensor(one) else one != other
