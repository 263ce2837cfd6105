"""FLOP of a training step, and the peak of this machine."""

import time

from seqline.components.train.memory import count_trained
from seqline.components.train.options import Options
from seqline.modeling.config import TransformerConfig


def training_flops(
    config: TransformerConfig,
    source_tokens: float,
    target_tokens: float,
    pairs: float,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> float:
    """Counts the floating-point operations to learn from some pairs once: matrix products only, without padding.

    A trained weight takes part in one multiplication and one addition a token, three times: forward, and backward for
    the states and for the weight. A frozen one has no gradient, and layers below all that is trained have no backward
    pass. What gradient checkpointing computes again does not count.

    Args:
        config: The model's configuration.
        source_tokens: Source tokens of all pairs, end of sentence included.
        target_tokens: Target tokens, likewise.
        pairs: Number of pairs.
        options: Options of training, which decide what is trained, all by default; with `r_drop`, each token is twice.
    """
    dim, inner = config.hidden_dim, config.intermediate_dim * (3 if config.gated else 2)
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    attention = 2 * dim * (queries + keys)
    layer = attention + dim * inner
    source, target = source_tokens / max(pairs, 1), target_tokens / max(pairs, 1)
    way, encoder, decoder = options.fine_tuning, config.encoder_layers, config.decoder_layers
    # Of a layer of each stack: products with weights, and of states with each other.
    if config.architecture == "gpt":
        tokens, seen = source_tokens + target_tokens, (source + target) / 2
        reading, mixing = 0.0, 0.0
        writing, looking = tokens * layer, tokens * 2 * queries * seen
        matrices = decoder * layer
    else:
        reading, mixing = source_tokens * layer, source_tokens * 2 * queries * source
        writing = target_tokens * (layer + 2 * dim * queries) + source_tokens * 2 * dim * keys
        looking = target_tokens * 2 * queries * (target / 2 + source)
        matrices = encoder * layer + decoder * (layer + attention)
    if way == "last":
        learning = min(options.last_layers, decoder)
        work = encoder * (reading + mixing) + (decoder - learning + 3 * learning) * (writing + looking)
    else:
        passes = 3.0 if way == "full" else 2 + 3 * count_trained(config, options) / matrices
        work = encoder * (passes * reading + 3 * mixing) + decoder * (passes * writing + 3 * looking)
    # A gpt's loss needs logits only where a target token is predicted.
    output = target_tokens * dim * config.vocabulary_size
    if config.pointer:
        output += (source_tokens + target_tokens) * dim * keys + target_tokens * (2 * keys * source + dim + keys)
    return (2 if options.r_drop else 1) * 2 * (work + (3 if way == "full" else 2) * output)


def matmul_peak(dtype: str = "float32", at_once: int = 1, size: int = 2048, seconds: float = 0.5) -> float:
    """Measures the best rate of square matrix products, in FLOP/s.

    Args:
        dtype: float32 or bfloat16.
        at_once: Products that are computed at the same time, if each uses its share of the cores.
        size: Rows and columns.
        seconds: Duration of the measurement, approximately.
    """
    import tensorflow as tf

    factors = [tf.cast(tf.random.stateless_normal((size, size), (1, seed)), dtype) for seed in range(at_once)]
    multiply = tf.function(lambda factors: tf.add_n([tf.cast(tf.matmul(a, a)[0, 0], tf.float32) for a in factors]))
    float(multiply(factors))
    best, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        float(multiply(factors))
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 * at_once / best
