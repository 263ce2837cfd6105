"""Which of TensorFlow's executors runs a saved graph's loops and branches."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

EXECUTOR = "SINGLE_THREADED_EXECUTOR"
BRANCHES = {
    "While": ("cond", "body"),
    "StatelessWhile": ("cond", "body"),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
}


def run_loops_in_one_thread(folder: Path) -> None:
    """Has the functions of loops and branches run as `in_one_thread` has the signatures.

    They do not inherit the executor of the function that they are in: TensorFlow takes theirs from the attribute
    `_executor` beside the function's name (tensorflow/core/common_runtime/function.cc).

    Args:
        folder: The SavedModel; its saved_model.pb is written anew.
    """
    file = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                for branch in BRANCHES.get(node.op, ()):
                    node.attr[branch].func.attr["_executor"].s = EXECUTOR.encode()
    file.write_bytes(saved.SerializeToString(deterministic=True))


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
