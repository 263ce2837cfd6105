"""Which of TensorFlow's executors runs a signature."""

from typing import Any

import tensorflow as tf

EXECUTOR = "SINGLE_THREADED_EXECUTOR"


def in_one_thread(function: Any) -> Any:
    """Has a function's operations run one after another, and its loops called, not unrolled into the graph around them.

    A step of decoding has some hundreds of small operations, and that graph's bookkeeping takes longer than they do.
    What a loop calls does not inherit the executor. Large products still use all threads of an operation.

    Args:
        function: What to trace; takes tensors by name.
    """
    called = tf.function(function, autograph=False)

    def calling(**given: Any) -> Any:
        with tf.experimental.function_executor_type(EXECUTOR):
            return called(**given)

    return tf.function(calling, autograph=False)
