"""The precision of a model's computation."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Sets the precision of the layers that are made within the block, and restores Keras's global one after it.

    Args:
        name: float32, or bfloat16 with float32 weights.
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32" if name == "float32" else "mixed_bfloat16")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
