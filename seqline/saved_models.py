"""Loads the signatures of a SavedModel in a tenth of the time of `tf.saved_model.load`.

TensorFlow builds a graph in Python of each of a model's functions, which are hundreds, and imports two thirds of its
modules for that; only then can a model be trained on, or saved again. To call a signature the runtime needs the
functions as they are in the file, and the tensors that they capture. A model with anything else is left to TensorFlow.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.accelerators import DRIVER, multiplies_bfloat16

log = logging.getLogger(__name__)

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"
NATIVE_PRODUCT = "_MklMatMul"
"""oneDNN's matrix product: in bfloat16 where the processor multiplies it."""
# Functions have global names: a second model of this process could have others of the same names.
_loaded: list[Path] = []
# Signatures of TensorFlow have weak references to the variables of their model.
_kept: list[Any] = []


class _UnknownError(Exception):
    """The model has something that only TensorFlow loads."""


@dataclass(frozen=True)
class Spec:
    """An input of a signature.

    Attributes:
        dtype: Its type, a `tf.DType`.
    """

    dtype: Any


@dataclass
class Signature:
    """A signature, which is called with one `tf.Tensor` for each input and returns its outputs by name.

    Attributes:
        function: The function's name.
        inputs: The inputs by name, in the function's order.
        outputs: The names of its outputs, in the function's order.
        captured: The tensors that it takes after the inputs.
        options: How the runtime optimizes the function, a serialized `ConfigProto`.
        model: For the caller's own use, as TensorFlow's signatures take any attribute.
    """

    function: str
    inputs: dict[str, Spec]
    outputs: list[str]
    captured: list[Any]
    options: bytes
    model: Any = None

    def __call__(self, **tensors: Any) -> dict[str, Any]:
        """Runs the function."""
        given = [tensors[name] for name in self.inputs]
        options = {"executor_type": "", "config_proto": self.options}
        found = _execute(self.function, len(self.outputs), [*given, *self.captured], **options)
        return dict(zip(self.outputs, found, strict=True))

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, Spec]]:
        """The inputs where a `tf.function` has them."""
        return (), self.inputs

    @property
    def structured_outputs(self) -> dict[str, None]:
        """The names of the outputs where a `tf.function` has them."""
        return dict.fromkeys(self.outputs)


def load_signatures(folder: Path, portable: bool = False) -> Mapping[str, Any]:
    """Loads a SavedModel to call its signatures.

    A SavedModel has the same graph everywhere. Of a signature that has a twin with products in bfloat16, the twin is
    called where the processor multiplies bfloat16.

    Args:
        folder: The SavedModel.
        portable: Whether the signatures are to return the same here as everywhere: no twin is called.

    Returns:
        Its signatures by name: `Signature`s, or TensorFlow's. Twins have no names of their own.

    Raises:
        Exception: If it cannot be loaded; TensorFlow has its own errors.
    """
    if not _loaded:
        try:
            return _chosen(_load(folder), portable)
        except Exception as error:  # also what is broken: TensorFlow says how
            # TensorFlow's messages may contain whole graphs.
            log.info("TensorFlow loads the model %s: %s", folder, str(error).partition("\n")[0])
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    _kept.append(loaded)
    # TensorFlow computes the products of the twins in float32.
    return _chosen(dict(loaded.signatures), portable=True)


def in_bfloat16(name: str) -> str:
    """The name of a signature's twin.

    Args:
        name: The signature's name.
    """
    return f"{name}_bfloat16"


def _chosen(signatures: Mapping[str, Any], portable: bool) -> dict[str, Any]:
    twins = {name: in_bfloat16(name) for name in signatures if in_bfloat16(name) in signatures}
    native = not portable and multiplies_bfloat16() and not DRIVER.exists() and _with_one_dnn()
    return {
        name: signatures[twins[name]] if native and name in twins else signature
        for name, signature in signatures.items()
        if name not in twins.values()
    }


def _with_one_dnn() -> bool:
    from tensorflow.python.framework import op_def_registry

    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0" and op_def_registry.get(NATIVE_PRODUCT) is not None


def _context() -> Any:
    from tensorflow.python.eager import context

    return context.context()


def _execute(op: str, outputs: int, inputs: list[Any], **attributes: Any) -> list[Any]:
    from tensorflow.python.eager import execute

    flat = [part for pair in attributes.items() for part in pair]
    return list(execute.execute(op, outputs, inputs=inputs, attrs=tuple(flat), ctx=_context()) or [])


def _options() -> bytes:
    """As TensorFlow calls functions, but each is optimized once."""
    config = _context().config
    config.allow_soft_placement = True
    return _optimizing_once(config)


def _optimizing_once(config: Any) -> bytes:
    """Lets TensorFlow optimize a graph once instead of twice, which takes a third of a function's first call."""
    from tensorflow.core.protobuf import rewriter_config_pb2

    config.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    return bytes(config.SerializeToString(deterministic=True))


def _add_function(function: Any) -> None:
    """Registers a function."""
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import config_pb2

    for node in function.node_def:
        if node.op == "MatMul" and node.attr["T"].type == types_pb2.DT_BFLOAT16 and _with_one_dnn():
            # TensorFlow does this itself, but not in functions that one thread runs: there it would convert to float32.
            node.op, node.attr["_kernel"].s = NATIVE_PRODUCT, b"MklNameChangeOp"
        if "config_proto" in node.attr:
            called = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
            node.attr["config_proto"].s = _optimizing_once(called)
    _context().add_function_def(function)


def _load(folder: Path) -> dict[str, Signature]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    graphs = [graph for graph in model.meta_graphs if "serve" in graph.meta_info_def.tags]
    if len(graphs) != 1 or not graphs[0].object_graph_def.nodes:
        raise _UnknownError("it is of TensorFlow 1, or has several graphs")
    return _Loader(folder, graphs[0]).signatures()


class _Loader:
    """Makes the captured tensors of one model.

    Args:
        folder: The SavedModel.
        graph: Its graph, a `MetaGraphDef`.
    """

    def __init__(self, folder: Path, graph: Any) -> None:
        self.folder, self.graph, self.objects = folder, graph, graph.object_graph_def
        self.functions = {function.signature.name: function for function in graph.graph_def.library.function}
        self.tensors: dict[int, Any] = {}

    def signatures(self) -> dict[str, Signature]:
        maps = [self._child(0, "signatures")]
        wanted = {one.local_name: one.node_id for one in self.objects.nodes[maps[0]].children}
        concrete = {name: self._concrete(node) for name, node in wanted.items()}
        self._check(concrete.values())
        keys = self._keys()
        _loaded.append(self.folder)
        for function in self.functions.values():
            _add_function(function)
        self._restore(keys)
        resources = self._of_kind("resource")
        for node in resources:
            (self.tensors[node],) = self._call(self._child(node, "_create_resource"), 1)
        for node in resources:
            self._call(self._child(node, "_initialize"), 0)
        return {name: self._signature(function) for name, function in concrete.items()}

    def _child(self, node: int, name: str) -> int:
        found = [one.node_id for one in self.objects.nodes[node].children if one.local_name == name]
        if len(found) != 1:
            raise _UnknownError(f"an object has no {name}")
        return int(found[0])

    def _concrete(self, node: int) -> str:
        saved = self.objects.nodes[node]
        names = list(saved.function.concrete_functions) or [saved.bare_concrete_function.concrete_function_name]
        if len(names) != 1 or names[0] not in self.functions:
            raise _UnknownError("a function has no or several graphs")
        return str(names[0])

    def _of_kind(self, kind: str) -> list[int]:
        return [number for number, node in enumerate(self.objects.nodes) if node.WhichOneof("kind") == kind]

    def _check(self, signatures: Iterable[str]) -> None:
        """Checks that all captured tensors are of known kinds, before anything is registered."""
        called = list(signatures)
        for node in self._of_kind("resource"):
            called += [self._concrete(self._child(node, name)) for name in ("_create_resource", "_initialize")]
        for name in called:
            for node in self.objects.concrete_functions[name].bound_inputs:
                kind = self.objects.nodes[node].WhichOneof("kind")
                if kind not in ("variable", "constant", "asset", "resource"):
                    raise _UnknownError(f"a function captures a {kind}")

    def _tensor(self, node: int) -> Any:
        if node not in self.tensors:
            saved = self.objects.nodes[node]
            kind = saved.WhichOneof("kind")
            if kind == "constant":
                self.tensors[node] = self._constant(saved.constant.operation)
            elif kind == "asset":
                name = self.graph.asset_file_def[saved.asset.asset_file_def_index].filename
                self.tensors[node] = _tensor_of(str(self.folder / "assets" / name).encode())
            else:
                raise _UnknownError(f"a {kind} is used before it is there")
        return self.tensors[node]

    def _constant(self, operation: str) -> Any:
        from tensorflow.python.framework import tensor_util

        (value,) = [node.attr["value"].tensor for node in self.graph.graph_def.node if node.name == operation]
        return _tensor_of(tensor_util.MakeNdarray(value), value.dtype)

    def _call(self, node: int, outputs: int) -> list[Any]:
        name = self._concrete(node)
        captured = [self._tensor(one) for one in self.objects.concrete_functions[name].bound_inputs]
        # An initializer returns a number that says nothing.
        returned = len(self.functions[name].signature.output_arg)
        found = _context().call_function(name.encode(), captured, returned) or []
        return list(found)[:outputs]

    def _restore(self, keys: Mapping[int, str]) -> None:
        """Makes the variables with their values."""
        saved = [self.objects.nodes[number].variable for number in keys]
        values = self._read(list(keys.values()), [variable.dtype for variable in saved]) if keys else []
        for number, variable, value in zip(keys, saved, values, strict=True):
            self.tensors[number] = _variable(variable, value)

    def _read(self, keys: list[str], types: list[int]) -> list[Any]:
        """Reads values of the checkpoint."""
        prefix = _tensor_of(str(self.folder / "variables" / "variables").encode())
        whole = _tensor_of([""] * len(keys))
        return _execute("RestoreV2", len(keys), [prefix, _tensor_of(keys), whole], dtypes=types)

    def _keys(self) -> dict[int, str]:
        """The checkpoint's key of each variable: objects are the same if their names from the root are."""
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        (content,) = self._read([GRAPH], [_string()])
        checkpoint = trackable_object_graph_pb2.TrackableObjectGraph()
        checkpoint.ParseFromString(content.numpy())
        found: dict[int, str] = {}
        seen, waiting = {0}, [(0, 0)]
        while waiting:
            saved, stored = waiting.pop()
            if self.objects.nodes[saved].WhichOneof("kind") == "variable":
                values = [one for one in checkpoint.nodes[stored].attributes if one.name == VALUE]
                found.update((saved, one.checkpoint_key) for one in values)
            names = {one.local_name: one.node_id for one in checkpoint.nodes[stored].children}
            for child in self.objects.nodes[saved].children:
                if child.node_id not in seen and child.local_name in names:
                    seen.add(child.node_id)
                    waiting.append((child.node_id, names[child.local_name]))
        if sorted(found) != self._of_kind("variable") or len(found) != sum(
            len(node.attributes) for node in checkpoint.nodes
        ):
            raise _UnknownError("its checkpoint has values of other things than variables")
        return found

    def _signature(self, function: str) -> Signature:
        saved = self.objects.concrete_functions[function]
        definition = self.functions[function].signature
        # Arguments by name are sorted, as are outputs: `tf.nest` flattens dictionaries so.
        fields = saved.canonicalized_input_signature.tuple_value.values[1].dict_value.fields
        names, outputs = sorted(fields), sorted(saved.output_signature.dict_value.fields)
        captured = [self._tensor(node) for node in saved.bound_inputs]
        if len(definition.input_arg) != len(names) + len(captured) or len(definition.output_arg) != len(outputs):
            raise RuntimeError(f"{self.folder}: the signature of {function} is not that of its function")
        types = [_dtype(argument.type) for argument in definition.input_arg]
        inputs = {name: Spec(kind) for name, kind in zip(names, types, strict=False)}
        return Signature(function, inputs, outputs, captured, _options())


def _dtype(number: int) -> Any:
    from tensorflow.python.framework import dtypes

    return dtypes.as_dtype(number)


def _string() -> int:
    from tensorflow.python.framework import dtypes

    return int(dtypes.string.as_datatype_enum)


def _tensor_of(value: Any, dtype: int | None = None) -> Any:
    from tensorflow.python.framework import constant_op

    return constant_op.constant(value, None if dtype is None else _dtype(dtype))


def _variable(saved: Any, value: Any) -> Any:
    """A variable's handle, which owns it."""
    from tensorflow.python.eager import context

    shape = [dimension.size for dimension in saved.shape.dim]
    name = context.anonymous_name()
    (handle,) = _execute("VarHandleOp", 1, [], dtype=saved.dtype, shape=shape, shared_name=name)
    _execute("AssignVariableOp", 0, [handle, value], dtype=saved.dtype)
    return handle
