"""Selects TensorFlow's single-threaded executor for a signature."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf import saved_model_pb2

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


def loops_in_one_thread(model: Path) -> None:
    """Sets the single-threaded executor for the loops of functions that `in_one_thread` traced.

    Loops do not inherit the executor: TensorFlow reads it from the attribute `_executor` of the function that the loop
    calls (tensorflow/core/common_runtime/function.cc), and no Python API sets it.

    Args:
        model: The SavedModel; its saved_model.pb and fingerprint are rewritten.
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
    """The nodes of functions and, recursively, of the functions that they call."""
    queue, seen = sorted(called), set(called)
    while queue:
        for node in bodies[queue.pop()]:
            yield node
            inner = {attribute.func.name for attribute in node.attr.values() if attribute.HasField("func")} - seen
            queue += sorted(inner)
            seen |= inner
