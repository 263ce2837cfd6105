"""How much a training step must compute, and how much this machine can."""

import time

from seqline.modeling.config import TransformerConfig


def training_flops(config: TransformerConfig, source_tokens: float, target_tokens: float, pairs: float) -> float:
    """Floating-point operations to learn from some pairs once: matrix products only, padding not counted.

    Each weight takes part in one multiplication and one addition a token, three times: forward, and backward for
    the states and for the weights.

    Args:
        config: The model's shape.
        source_tokens: Of all pairs, end of sentence included.
        target_tokens: Likewise.
        pairs: How many.
    """
    width, inner = config.hidden_dim, config.intermediate_dim * (3 if config.activation == "swiglu" else 2)
    layer = 4 * width * width + width * inner
    source, target = source_tokens / max(pairs, 1), target_tokens / max(pairs, 1)
    if config.architecture == "gpt":
        tokens, seen = source_tokens + target_tokens, (source + target) / 2
        weights = tokens * config.decoder_layers * (layer + 2 * width * seen)
    else:
        cross = 2 * width * width
        weights = source_tokens * (
            config.encoder_layers * (layer + 2 * width * source) + config.decoder_layers * cross
        ) + target_tokens * config.decoder_layers * (layer + cross + 2 * width * (target / 2 + source))
    # A gpt's loss needs logits where a target piece is predicted only.
    return 6 * (weights + target_tokens * width * config.vocabulary_size)


def matmul_peak(dtype: str = "float32", size: int = 2048, seconds: float = 0.5) -> float:
    """Measures the best rate of a square matrix product, in FLOP/s.

    Args:
        dtype: float32 or bfloat16.
        size: Rows and columns.
        seconds: How long to measure, about.
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
