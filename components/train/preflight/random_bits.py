"""Random numbers as TensorFlow lowers them for a TPU.

For a CPU, TensorFlow expands its generator to hundreds of operations at each dropout; for a TPU it calls the compiler's
generator. `tpu_random_bits` does the latter while lowering on a CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DEFAULT = 3  # tf.random.Algorithm.AUTO_SELECT: the device chooses


@contextmanager
def tpu_random_bits() -> Iterator[None]:
    """Within the block, `tf.random.stateless_uniform` of whole integers is traced as the compiler's generator."""
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_rng_bit_generator

    expanded = tf.random.stateless_uniform

    def draw(shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = tf.float32, **rest: Any) -> Any:
        if minval is not None or dtype != tf.int32:
            return expanded(shape, seed, minval, maxval, dtype, **rest)
        state = tf.bitcast(tf.cast(seed, tf.int64), tf.uint64)
        _, bits = xla_rng_bit_generator(DEFAULT, state, shape, dtype=tf.uint32)
        return tf.bitcast(bits, tf.int32)

    tf.random.stateless_uniform = draw
    try:
        yield
    finally:
        tf.random.stateless_uniform = expanded
