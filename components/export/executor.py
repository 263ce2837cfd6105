"""Which of TensorFlow's executors runs a signature."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf import saved_model_pb2

EXECUTOR = "SINGLE_THREADED_EXECUTOR"


def in_one_thread(function: Any) -> Any:
    """Has a function's operations run one after another, and its loops called, not unrolled into the graph around them.

    A step of decoding has some hundreds of small operations, and that graph's bookkeeping takes longer than they do.
    Large products still use all threads of an operation.

    Args:
        function: What to trace; takes tensors by name.
    """
    called = tf.function(function, autograph=False)

    def calling(**given: Any) -> Any:
        with tf.experimental.function_executor_type(EXECUTOR):
            return called(**given)

    return tf.function(calling, autograph=False)


def loops_in_one_thread(model: Path) -> None:
    """Has the loops of what `in_one_thread` traced run as it does.

    They do not inherit the executor: TensorFlow takes theirs from the attribute `_executor` beside the name of what a
    loop calls (tensorflow/core/common_runtime/function.cc), which no Python function sets.

    Args:
        model: The SavedModel; its saved_model.pb and its fingerprint are written anew.
    """
    from tensorflow.python.saved_model import fingerprinting_utils

    file = model / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        bodies = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
        calls = [node for body in bodies.values() for node in body if "executor_type" in node.attr]
        called = {node.attr["f"].func.name for node in calls if node.attr["executor_type"].s == EXECUTOR.encode()}
        for node in _reached(called, bodies):
            if node.op in ("While", "StatelessWhile"):
                for part in ("cond", "body"):
                    node.attr[part].func.attr["_executor"].s = EXECUTOR.encode()
    file.write_bytes(saved.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(model))


def _reached(called: set[str], bodies: dict[str, Any]) -> Iterator[NodeDef]:
    """The nodes of some functions, and of those that these call."""
    waiting, seen = sorted(called), set(called)
    while waiting:
        for node in bodies[waiting.pop()]:
            yield node
            inner = {attribute.func.name for attribute in node.attr.values() if attribute.HasField("func")} - seen
            waiting += sorted(inner)
            seen |= inner
