"""Prepares the loops of an exported model, whose bodies TensorFlow's graph optimizer does not see.

It optimizes the graph of a signature, with the functions that it can inline. The loop over the tokens of an output is
called as it is, so what the optimizer would do there is done here, in the saved graph.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.types_pb2 import DT_FLOAT
from tensorflow.core.protobuf import saved_model_pb2

from seqline.components.export.executor import EXECUTOR

LOOPS = ("While", "StatelessWhile")


def prepare_loops(model: Path) -> None:
    """Sets the single-threaded executor for the loops of functions that `in_one_thread` traced, and fuses operations.

    Loops do not inherit the executor: TensorFlow reads it from the attribute `_executor` of the function that the loop
    calls (tensorflow/core/common_runtime/function.cc), and no Python API sets it.

    Args:
        model: The SavedModel; its saved_model.pb and fingerprint are rewritten.
    """
    from tensorflow.python.saved_model import fingerprinting_utils

    file = model / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        functions = {function.signature.name: function for function in graph.graph_def.library.function}
        bodies = {name: function.node_def for name, function in functions.items()}
        calls = [node for body in bodies.values() for node in body if "executor_type" in node.attr]
        called = {node.attr["f"].func.name for node in calls if node.attr["executor_type"].s == EXECUTOR.encode()}
        loops = [node for node in _reached(called, bodies) if node.op in LOOPS]
        for node in loops:
            for part in ("cond", "body"):
                node.attr[part].func.attr["_executor"].s = EXECUTOR.encode()
        for name in sorted({node.attr["body"].func.name for node in loops}):
            fuse_biases(functions[name])
    file.write_bytes(saved.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(model))


def fuse_biases(function: FunctionDef) -> None:
    """Replaces a float32 matrix product, its bias and a ReLU by one operation, as TensorFlow's remapper does.

    Args:
        function: The function.
    """
    nodes = {node.name: node for node in function.node_def}
    inputs = [name for node in function.node_def for name in node.input]
    uses = Counter(_node(name) for name in [*inputs, *function.ret.values()])
    readers = {_node(name): node for node in function.node_def for name in node.input}
    fused: dict[str, NodeDef] = {}
    for bias in function.node_def:
        product = nodes.get(_node(bias.input[0])) if bias.op == "BiasAdd" else None
        if product is None or not _is_plain(product) or uses[product.name] > 1:
            continue
        parts, kinds = [product, bias], [b"BiasAdd"]
        reader = readers.get(bias.name)
        if reader is not None and reader.op == "Relu" and uses[bias.name] == 1:
            parts, kinds = [*parts, reader], [b"BiasAdd", b"Relu"]
        after = [name for part in parts for name in part.input if name.startswith("^")]
        node = NodeDef(name=parts[-1].name, op="_FusedMatMul", input=[*product.input[:2], bias.input[1], *after])
        node.attr["T"].type = DT_FLOAT
        node.attr["num_args"].i = 1
        node.attr["fused_ops"].list.s.extend(kinds)
        fused |= dict.fromkeys((part.name for part in parts), node)

    def renamed(name: str) -> str:
        return f"{_node(name)}:product:0" if _node(name) in fused and ":" in name else name

    kept = [node for node in function.node_def if node.name not in fused or fused[node.name].name == node.name]
    body = [NodeDef.FromString(fused.get(node.name, node).SerializeToString()) for node in kept]
    for node in body:
        node.input[:] = [renamed(name) for name in node.input]
    del function.node_def[:]
    function.node_def.extend(body)
    for name, value in function.ret.items():
        function.ret[name] = renamed(value)


def _reached(called: set[str], bodies: Mapping[str, Iterable[NodeDef]]) -> Iterator[NodeDef]:
    """The nodes of functions and, recursively, of the functions that they call."""
    queue, seen = sorted(called), set(called)
    while queue:
        for node in bodies[queue.pop()]:
            yield node
            inner = {attribute.func.name for attribute in node.attr.values() if attribute.HasField("func")} - seen
            queue += sorted(inner)
            seen |= inner


def _is_plain(node: NodeDef) -> bool:
    """Whether a node is a float32 matrix product without transposition."""
    # To read an attribute that a node does not have would add it.
    if node.op != "MatMul" or node.attr["T"].type != DT_FLOAT:
        return False
    return not (node.attr["transpose_a"].b or node.attr["transpose_b"].b)


def _node(name: str) -> str:
    """The node of an input: `^node`, `node` or `node:output:0`."""
    return name.removeprefix("^").partition(":")[0]
