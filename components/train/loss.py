"""Cross-entropy of the output layer in chunks of rows: all logits at once would not fit a processor's cache."""

from typing import Any

import tensorflow as tf

CHUNK_BYTES = 16 << 20


def smoothed_cross_entropy(
    states: Any,
    kernel: Any,
    labels: Any,
    weights: Any,
    smoothing: float,
    train_kernel: bool = True,
    odds: Any = None,
    consistency: float = 0.0,
) -> Any:
    """The weighted sum of the label-smoothed cross-entropies (Szegedy et al. 2016) of `states @ kernel.T`.

    With z the logits, y the label and e the smoothing it is `logsumexp(z) - (1 - e) z[y] - e mean(z)`, so neither
    the logits nor the smoothed labels are ever whole in memory. Gradients are computed in the same pass. The logits are
    float32, also of bfloat16 states: rounded to bfloat16, a logit of 20 is off by up to 0.06. The products of the
    gradients are in the type of the states.

    A label that may be copied too has log(p + exp(odds)) instead of log(p), p being its softmax; to add is the log
    probability that a token is generated. The smoothing is that of the softmax: copying is not smoothed.

    With a consistency, rows 2i and 2i + 1 are one token under two dropout masks, with one weight. The loss of each has
    the divergence KL(its softmax || that of the other one) too, times the consistency (R-Drop, Liang et al. 2021).

    Args:
        states: `[rows, hidden_dim]`.
        kernel: `[vocabulary, hidden_dim]`.
        labels: int32 `[rows]`.
        weights: float32 `[rows]`; 0 for padding.
        smoothing: Share of the probability spread over the whole vocabulary.
        train_kernel: Whether the kernel has a gradient, whose product is a third of the work.
        odds: See `seqline.modeling.pointer.Pointed.odds`, float32 `[rows]`; None if nothing is copied.
        consistency: Weight of the divergence; 0 if rows are not pairs.

    Returns:
        float32 scalar.
    """

    @tf.custom_gradient
    def function(states: Any, kernel: Any, *odds: Any) -> tuple[Any, Any]:
        wide = tf.cast(states, tf.float32)
        label_rows = tf.cast(tf.gather(kernel, labels), tf.float32)
        # The logit above which the label is rather generated than copied, if all logits together are below it.
        even = tf.reduce_sum(wide * label_rows, axis=1) - odds[0] if odds else None
        totals, divergences, on_states, on_kernel = _partition(
            states, kernel, weights, train_kernel, even, smoothing, consistency
        )
        total = tf.reduce_sum(totals * weights)
        if consistency:
            total += consistency * tf.reduce_sum(divergences * weights)
        share = tf.ones_like(totals) if even is None else tf.sigmoid(even - totals)
        # The mean of the kernel's rows under the smoothed label, times the weight.
        mean = tf.reduce_mean(tf.cast(kernel, tf.float32), axis=0)
        total -= tf.reduce_sum(wide * ((1 - smoothing) * label_rows + smoothing * mean) * weights[:, None])
        if even is not None:
            total -= (1 - smoothing) * tf.reduce_sum(tf.math.softplus(totals - even) * weights)
        own = ((1 - smoothing) * share * weights)[:, None]

        def gradient(upstream: Any) -> tuple[Any, ...]:
            expected = own * label_rows + smoothing * mean * weights[:, None]
            for_states = tf.cast(upstream * (tf.cast(on_states, tf.float32) - expected), states.dtype)
            for_odds = [upstream * (own[:, 0] - (1 - smoothing) * weights)] if odds else []
            if not train_kernel:
                return for_states, tf.zeros_like(kernel), *for_odds
            vocabulary_size = kernel.shape[0]
            chosen = tf.math.unsorted_segment_sum(own * wide, labels, vocabulary_size)
            spread = tf.reduce_sum(wide * weights[:, None], axis=0) * (smoothing / vocabulary_size)
            return for_states, tf.cast(upstream * (on_kernel - chosen - spread), kernel.dtype), *for_odds

        return total, gradient

    return function(states, kernel) if odds is None else function(states, kernel, odds)


def _partition(
    states: Any, kernel: Any, weights: Any, train_kernel: bool, even: Any, smoothing: float, consistency: float
) -> tuple[Any, Any, Any, Any]:
    """`logsumexp(states @ kernel.T)` of each row, its divergence, and the gradients of the weighted sum.

    Where labels may be copied, a row's gradients are weighted by the share of its label that is generated, and by the
    smoothing. Divergences are None without a consistency.
    """
    rows, dim = tf.shape(states)[0], kernel.shape[1]
    max_size = max(2, CHUNK_BYTES // (4 * kernel.shape[0]))
    chunks = tf.maximum(1, (rows + max_size - 1) // max_size)
    size = (rows + chunks - 1) // chunks
    size += size % 2  # a pair of rows is in one chunk
    padding = chunks * size - rows
    padded = tf.reshape(tf.pad(states, [[0, padding], [0, 0]]), [chunks, size, dim])

    def in_chunks(values: Any) -> Any:
        return tf.reshape(tf.pad(values, [[0, padding]]), [chunks, size, 1])

    padded_weights, padded_even = in_chunks(weights), None if even is None else in_chunks(even)
    wide = tf.cast(kernel, tf.float32)

    def step(number: Any, totals: Any, divergences: Any, on_states: Any, on_kernel: Any) -> tuple[Any, ...]:
        chunk, weight = padded[number], padded_weights[number]
        if consistency:
            chunk, weight = _by_copy(chunk), _by_copy(weight)
        logits = tf.matmul(tf.cast(chunk, tf.float32), wide, transpose_b=True)
        highest = tf.reduce_max(logits, axis=1, keepdims=True)
        exponents = tf.exp(logits - highest)
        sums = tf.reduce_sum(exponents, axis=1, keepdims=True)
        total = tf.math.log(sums) + highest
        part = 1.0
        if padded_even is not None:
            even = _by_copy(padded_even[number]) if consistency else padded_even[number]
            part = smoothing + (1 - smoothing) * tf.sigmoid(even - total)
        if consistency:
            divergence, gradients = _divergence(logits - total, exponents, sums, part, consistency)
            divergences = divergences.write(number, _by_pair(divergence)[:, 0])
        else:
            weight, gradients = weight * part, exponents
        # Dividing on the narrow side of both products is cheaper than dividing the exponents.
        share = tf.cast(weight / sums, chunk.dtype)
        gradients = tf.cast(gradients, chunk.dtype)
        on_chunk = tf.matmul(gradients, kernel) * share
        if train_kernel:
            # Transposing the narrow side is cheaper than transposing the exponents.
            on_kernel += tf.cast(tf.matmul(chunk * share, gradients, transpose_a=True), tf.float32)
        if consistency:
            total, on_chunk = _by_pair(total), _by_pair(on_chunk)
        return number + 1, totals.write(number, total[:, 0]), divergences, on_states.write(number, on_chunk), on_kernel

    _, totals, divergences, on_states, on_kernel = tf.while_loop(
        lambda number, *_: number < chunks,
        step,
        (
            tf.constant(0),
            tf.TensorArray(tf.float32, chunks),
            tf.TensorArray(tf.float32, chunks) if consistency else tf.zeros(()),
            tf.TensorArray(states.dtype, chunks),
            tf.zeros((dim, kernel.shape[0]) if train_kernel else ()),
        ),
        parallel_iterations=1,
        maximum_iterations=chunks,
    )

    def whole(written: Any) -> Any:
        return tf.reshape(written.stack(), [chunks * size, -1])[:rows]

    diverged = whole(divergences)[:, 0] if consistency else None
    return whole(totals)[:, 0], diverged, whole(on_states), tf.transpose(on_kernel)


def _by_copy(rows: Any) -> Any:
    """Rows 0, 2, 4, ..., then rows 1, 3, 5, ..."""
    return tf.concat([rows[::2], rows[1::2]], axis=0)


def _by_pair(rows: Any) -> Any:
    """Undoes `_by_copy`."""
    return tf.reshape(tf.stack(tf.split(rows, 2), axis=1), tf.shape(rows))


def _divergence(logarithms: Any, exponents: Any, sums: Any, part: Any, consistency: float) -> tuple[Any, Any]:
    """KL(row || the other row of its pair), `[rows, 1]`, and gradients by the logits, times the sums.

    The gradients are those of the part of each row's cross-entropy, and of the pair's divergences times the
    consistency.
    """
    (one, other), (sum_of_one, sum_of_other) = tf.split(exponents, 2), tf.split(sums, 2)
    difference = tf.subtract(*tf.split(logarithms, 2))
    divergence = tf.reduce_sum(one * difference, axis=1, keepdims=True) / sum_of_one
    opposite = tf.reduce_sum(other * difference, axis=1, keepdims=True) / -sum_of_other
    divergences = tf.concat([divergence, opposite], axis=0)
    difference *= consistency
    factor, factor_of_other = tf.split(part + consistency * (1 - divergences), 2)
    ratio = consistency * sum_of_one / sum_of_other
    gradients = [
        one * (factor + difference) - other * ratio,
        other * (factor_of_other - difference) - one * (consistency**2 / ratio),
    ]
    return divergences, tf.concat(gradients, axis=0)
