"""Random numbers as a TPU draws them.

Lowered for a CPU, TensorFlow writes its generator out, hundreds of operations at each dropout; lowered for a TPU it
calls the compiler's own. `as_on_a_tpu` has it do that here too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

DEFAULT = 3  # tf.random.Algorithm.AUTO_SELECT: the device chooses


@contextmanager
def as_on_a_tpu() -> Iterator[None]:
    """Traces `tf.random.stateless_uniform` of whole integers as the compiler's generator."""
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_rng_bit_generator

    written_out = tf.random.stateless_uniform

    def draw(shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = tf.float32, **rest: Any) -> Any:
        if minval is not None or dtype != tf.int32:
            return written_out(shape, seed, minval, maxval, dtype, **rest)
        state = tf.bitcast(tf.cast(seed, tf.int64), tf.uint64)
        _, bits = xla_rng_bit_generator(DEFAULT, state, shape, dtype=tf.uint32)
        return tf.bitcast(bits, tf.int32)

    with mock.patch.object(tf.random, "stateless_uniform", draw):
        yield
