"""Cross-entropy of the output layer in chunks of rows: all logits at once would not fit a processor's cache."""

from typing import Any

import tensorflow as tf

CHUNK_BYTES = 16 << 20


def smoothed_cross_entropy(
    states: Any, kernel: Any, labels: Any, weights: Any, smoothing: float, train_kernel: bool = True
) -> Any:
    """The weighted sum of the label-smoothed cross-entropies (Szegedy et al. 2016) of `states @ kernel.T`.

    With z the logits, y the label and e the smoothing it is `logsumexp(z) - (1 - e) z[y] - e mean(z)`, so neither
    the logits nor the smoothed labels are ever whole in memory. Gradients are computed in the same pass. The logits are
    float32, also of bfloat16 states: rounded to bfloat16, a logit of 20 is off by up to 0.06. The products of the
    gradients are in the type of the states.

    Args:
        states: `[rows, hidden_dim]`.
        kernel: `[vocabulary, hidden_dim]`.
        labels: int32 `[rows]`.
        weights: float32 `[rows]`; 0 for padding.
        smoothing: Share of the probability spread over the whole vocabulary.
        train_kernel: Whether the kernel has a gradient, whose product is a third of the work.

    Returns:
        float32 scalar.
    """

    @tf.custom_gradient
    def function(states: Any, kernel: Any) -> tuple[Any, Any]:
        total, on_states, on_kernel = _partition(states, kernel, weights, train_kernel)
        # The mean of the kernel's rows under the smoothed label, times the weight.
        mean = tf.reduce_mean(tf.cast(kernel, tf.float32), axis=0)
        expected = (1 - smoothing) * tf.cast(tf.gather(kernel, labels), tf.float32) + smoothing * mean
        expected *= weights[:, None]
        total -= tf.reduce_sum(tf.cast(states, tf.float32) * expected)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            for_states = tf.cast(upstream * (tf.cast(on_states, tf.float32) - expected), states.dtype)
            if not train_kernel:
                return for_states, tf.zeros_like(kernel)
            weighted = tf.cast(states, tf.float32) * weights[:, None]
            vocabulary_size = kernel.shape[0]
            chosen = tf.math.unsorted_segment_sum((1 - smoothing) * weighted, labels, vocabulary_size)
            spread = tf.reduce_sum(weighted, axis=0) * (smoothing / vocabulary_size)
            return for_states, tf.cast(upstream * (on_kernel - chosen - spread), kernel.dtype)

        return total, gradient

    return function(states, kernel)


def _partition(states: Any, kernel: Any, weights: Any, train_kernel: bool) -> tuple[Any, Any, Any]:
    """The weighted sum of `logsumexp(states @ kernel.T)` over the rows, and its gradients."""
    rows, dim = tf.shape(states)[0], kernel.shape[1]
    max_size = max(1, CHUNK_BYTES // (4 * kernel.shape[0]))
    chunks = tf.maximum(1, (rows + max_size - 1) // max_size)
    size = (rows + chunks - 1) // chunks
    padding = chunks * size - rows
    padded = tf.reshape(tf.pad(states, [[0, padding], [0, 0]]), [chunks, size, dim])
    padded_weights = tf.reshape(tf.pad(weights, [[0, padding]]), [chunks, size, 1])
    wide = tf.cast(kernel, tf.float32)

    def step(number: Any, total: Any, on_states: Any, on_kernel: Any) -> tuple[Any, ...]:
        chunk, weight = padded[number], padded_weights[number]
        logits = tf.matmul(tf.cast(chunk, tf.float32), wide, transpose_b=True)
        highest = tf.reduce_max(logits, axis=1, keepdims=True)
        exponents = tf.exp(logits - highest)
        sums = tf.reduce_sum(exponents, axis=1, keepdims=True)
        # Dividing on the narrow side of both products is cheaper than dividing the exponents.
        share = tf.cast(weight / sums, chunk.dtype)
        exponents = tf.cast(exponents, chunk.dtype)
        return (
            number + 1,
            total + tf.reduce_sum((tf.math.log(sums) + highest) * weight),
            on_states.write(number, tf.matmul(exponents, kernel) * share),
            # Transposing the narrow side is cheaper than transposing the exponents.
            on_kernel
            if not train_kernel
            else on_kernel + tf.cast(tf.matmul(chunk * share, exponents, transpose_a=True), tf.float32),
        )

    _, total, on_states, on_kernel = tf.while_loop(
        lambda number, *_: number < chunks,
        step,
        (
            tf.constant(0),
            tf.constant(0.0),
            tf.TensorArray(states.dtype, chunks),
            tf.zeros((dim, kernel.shape[0]) if train_kernel else ()),
        ),
        parallel_iterations=1,
        maximum_iterations=chunks,
    )
    return total, tf.reshape(on_states.stack(), [-1, dim])[:rows], tf.transpose(on_kernel)
