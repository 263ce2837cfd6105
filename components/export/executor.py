"""Which of TensorFlow's executors runs a signature."""

from typing import Any

import tensorflow as tf

EXECUTOR = "SINGLE_THREADED_EXECUTOR"


def in_one_thread(function: Any) -> Any:
    """Has the operations of a function run one after another in the thread that asks.

    A step of decoding has some hundreds of small operations: to hand them to other threads takes longer than to run
    them. Large products still use all threads of an operation.

    Args:
        function: What to trace; takes tensors by name.
    """
    called = tf.function(function, autograph=False)

    def calling(**given: Any) -> Any:
        with tf.experimental.function_executor_type(EXECUTOR):
            return called(**given)

    return tf.function(calling, autograph=False)
