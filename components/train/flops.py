"""FLOP of a training step, and the peak of this machine."""

import time

from seqline.modeling.config import TransformerConfig


def training_flops(config: TransformerConfig, source_tokens: float, target_tokens: float, pairs: float) -> float:
    """Counts the floating-point operations to learn from some pairs once: matrix products only, without padding.

    Each weight takes part in one multiplication and one addition a token, three times: forward, and backward for
    the states and for the weights.

    Args:
        config: The model's configuration.
        source_tokens: Source tokens of all pairs, end of sentence included.
        target_tokens: Target tokens, likewise.
        pairs: Number of pairs.
    """
    dim, inner = config.hidden_dim, config.intermediate_dim * (3 if config.gated else 2)
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    attention = 2 * dim * (queries + keys)
    layer = attention + dim * inner
    source, target = source_tokens / max(pairs, 1), target_tokens / max(pairs, 1)
    if config.architecture == "gpt":
        tokens, seen = source_tokens + target_tokens, (source + target) / 2
        weights = tokens * config.decoder_layers * (layer + 2 * queries * seen)
    else:
        weights = source_tokens * (
            config.encoder_layers * (layer + 2 * queries * source) + config.decoder_layers * 2 * dim * keys
        ) + target_tokens * config.decoder_layers * (layer + 2 * dim * queries + 2 * queries * (target / 2 + source))
    # A gpt's loss needs logits only where a target token is predicted.
    return 6 * (weights + target_tokens * dim * config.vocabulary_size)


def matmul_peak(dtype: str = "float32", size: int = 2048, seconds: float = 0.5) -> float:
    """Measures the best rate of a square matrix product, in FLOP/s.

    Args:
        dtype: float32 or bfloat16.
        size: Rows and columns.
        seconds: Duration of the measurement, approximately.
    """
    import tensorflow as tf

    left = tf.cast(tf.random.stateless_normal((size, size), (1, 2)), dtype)
    multiply = tf.function(lambda a, b: tf.reduce_sum(tf.cast(tf.matmul(a, b)[:1, :1], tf.float32)))
    float(multiply(left, left))
    best, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        float(multiply(left, left))
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
