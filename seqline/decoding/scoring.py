"""Log probabilities of given outputs."""

from typing import Any

import tensorflow as tf

from seqline.decoding.decoder import Decoder, separated

ROWS = 1024


def log_probabilities(model: Decoder, source: Any, target: Any) -> tuple[Any, Any]:
    """Scores outputs, each in one pass over all of its tokens.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded; see `separated`.
        target: int32 `[sentences, target length]`, ending in `eos`, padded.

    Returns:
        The log probability of each target, float32 `[sentences]`, and its number of tokens, `eos` included, int32.
    """
    config = model.config
    source, starts = separated(config, source)
    real = tf.not_equal(target, config.padding)
    entered = tf.where(real, target, config.filler)[:, :-1]
    memory = model.encode(source)
    states = model.whole(tf.concat([starts, entered], axis=1), memory)
    indices = tf.where(tf.reshape(real, (-1,)))[:, 0]
    rows, tokens = tf.gather(states, indices), tf.gather(tf.reshape(target, (-1,)), indices)
    count = tf.shape(rows)[0]

    def score(start: Any, scores: Any) -> tuple[Any, Any]:
        logits = model.output.logits(rows[start : start + ROWS])
        chosen = tf.gather(logits, tokens[start : start + ROWS], batch_dims=1)
        return start + ROWS, tf.concat([scores, chosen - model.output.log_total(logits)[:, 0]], axis=0)

    # In chunks: the logits of a large batch of long outputs take gigabytes.
    _, scores = tf.while_loop(
        lambda start, _: start < count,
        score,
        (tf.constant(0), tf.zeros((0,))),
        (tf.TensorShape(()), tf.TensorShape((None,))),
    )
    if model.pointer is not None:
        generated, copied = (tf.gather(one, indices) for one in model.pointer.of_target(states, memory, target))
        scores += generated
        scores += tf.math.softplus(copied - scores)
    totals = tf.scatter_nd(indices[:, None], scores, tf.shape(tf.reshape(target, (-1,)), out_type=tf.int64))
    return tf.reduce_sum(tf.reshape(totals, tf.shape(target)), axis=1), tf.math.count_nonzero(real, 1, dtype=tf.int32)
