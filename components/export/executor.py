"""Selects TensorFlow's single-threaded executor for a signature."""

from typing import Any

import tensorflow as tf

EXECUTOR = "SINGLE_THREADED_EXECUTOR"


def in_one_thread(function: Any) -> Any:
    """Runs a function's operations sequentially, and calls its loops instead of inlining them into the calling graph.

    A decoding step has some hundreds of small operations, and scheduling them in parallel takes longer than running
    them. Large matrix products still use all intra-op threads.

    Args:
        function: The function to trace; takes tensors by name.
    """
    called = tf.function(function, autograph=False)

    def calling(**inputs: Any) -> Any:
        with tf.experimental.function_executor_type(EXECUTOR):
            return called(**inputs)

    return tf.function(calling, autograph=False)
