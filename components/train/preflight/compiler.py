"""The TPU compiler, libtpu, through jax.

`python -m seqline.components.train.preflight.compiler PROGRAM RESULT SLICE REPLICAS` compiles one program.

The only module that uses jax's private interfaces. It is a separate program because an unexpected input can abort the
compiler's process; `compiling` runs it and reads its result. TensorFlow is not imported: both packages contain XLA, and
two copies in a process conflict.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqline.quick_imports import quick_imports

TESTED = "0.10"
# On a machine without a TPU, libtpu would query the metadata server.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_MIN_LOG_LEVEL": "3",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PLATFORMS": "cpu",
}


class MissingError(Exception):
    """Jax or libtpu is missing or has other interfaces."""


def interfaces() -> Any:
    """Imports the interfaces of jax.

    Returns:
        The modules `topologies`, `_jax`, `xla_client`, `mlir` (of jax) and `ir`.

    Raises:
        MissingError: With the command that installs the tested version.
    """
    advice = f"preflight is tested with jax {TESTED}: pip install 'seqline[preflight]'"
    try:
        with quick_imports():
            import jax
            import libtpu  # noqa: F401
    except ImportError as error:
        raise MissingError(f"the TPU compiler is not installed ({error.name}); {advice}") from None
    try:
        from jax._src.interpreters import mlir
        from jax.experimental import topologies
        from jaxlib import _jax, xla_client
        from jaxlib.mlir import ir

        found = topologies.get_topology_desc, mlir.make_ir_context, _jax.mlir.hlo_to_stablehlo, _jax.DeviceList
        assert all(map(callable, found))  # noqa: S101 (caught below)
    except (ImportError, AttributeError, AssertionError) as error:
        raise MissingError(f"jax {jax.__version__} does not have the required interfaces ({error}); {advice}") from None
    return topologies, _jax, xla_client, mlir, ir


def compile_program(hlo: bytes, slice_name: str, replicas: int, hosts: list[int]) -> dict[str, Any]:
    """Compiles a program for a slice.

    Args:
        hlo: Serialized HloModuleProto of one replica.
        slice_name: Such as v5e:2x2.
        replicas: Number of cores that run it.
        hosts: Chips of a host by dimension; empty for the version's default.

    Returns:
        `memory` in bytes (`arguments`, `outputs`, `aliased`, `temporary`, `code`), `products` (FLOP and name of each
        matrix product), and `text`, the compiled program. Or `error`, with the `operation` that causes it.
    """
    topologies, _jax, xla_client, mlir, ir = interfaces()
    import numpy as np

    options = {"chips_per_host_bounds": tuple(hosts)} if hosts else {}
    devices = topologies.get_topology_desc(slice_name, "tpu", **options).devices
    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
        for operation in list(_operations(module.operation)):
            if operation.name == "mhlo.copy":
                # TensorFlow marks variables with it that changed; the TPU's pipeline does not support it.
                operation.results[0].replace_all_uses_with(operation.operands[0])
                operation.erase()
                continue
            for result in operation.results:
                if isinstance(result.type, ir.ShapedType) or ir.RankedTensorType.isinstance(result.type):
                    shape = ir.RankedTensorType(result.type)
                    if not shape.has_static_shape:
                        return {"error": f"a dynamic shape, {shape}", "operation": _name(operation)}
        products = list(_products(module, ir))
        compile_options = xla_client.CompileOptions()
        compile_options.num_replicas, compile_options.num_partitions = replicas, 1
        compile_options.device_assignment = xla_client.DeviceAssignment.create(np.arange(replicas).reshape(-1, 1))
        build = compile_options.executable_build_options
        build.num_replicas, build.num_partitions = replicas, 1
        chosen = _jax.DeviceList(tuple(devices[:replicas]))
        try:
            executable = devices[0].client.compile(module, executable_devices=chosen, compile_options=compile_options)
        except Exception as error:
            return _failure(str(error))
    memory = executable.get_compiled_memory_stats()
    return {
        "memory": {
            "arguments": memory.argument_size_in_bytes,
            "outputs": memory.output_size_in_bytes,
            "aliased": memory.alias_size_in_bytes,
            "temporary": memory.temp_size_in_bytes,
            "code": memory.generated_code_size_in_bytes,
        },
        "products": products,
        "text": executable.hlo_modules()[0].to_string(),
    }


def _operations(operation: Any) -> Iterator[Any]:
    for region in operation.regions:
        for block in region.blocks:
            for inner in list(block.operations):
                yield from _operations(inner.operation)
                yield inner.operation


def _name(operation: Any) -> str:
    """TensorFlow's name of the op, with its layers."""
    match = re.search(r'"([^"]+)"', str(operation.location))
    return match[1] if match else operation.name


def _products(module: Any, ir: Any) -> Iterator[tuple[int, str]]:
    """FLOP and name of each matrix product that the program's entry reaches and whose result is used.

    TensorFlow's program also has the gradients of frozen weights, which the compiler removes.
    """
    functions = {function.name.value: function.operation for function in module.body.operations}

    def reached(operation: Any) -> Iterator[Any]:
        for block in (block for region in operation.regions for block in region.blocks):
            for inner in _used(block):
                yield from reached(inner)
                if inner.name == "func.call":
                    yield from reached(functions[ir.FlatSymbolRefAttr(inner.attributes["callee"]).value])
                yield inner

    for operation in reached(functions["main"]):
        if operation.name in ("stablehlo.dot", "stablehlo.dot_general"):
            yield _flops(operation, ir), _name(operation)


def _used(block: Any) -> list[Any]:
    """The operations of a block whose results are used, or that have effects."""
    found: list[Any] = []
    inside = {inner.operation for inner in block.operations}
    used: set[Any] = set()
    for inner in reversed(list(block.operations)):
        operation = inner.operation
        users = {use.owner.operation for result in operation.results for use in result.uses}
        pure = operation.results and operation.name.startswith(("stablehlo.", "func.call", "mhlo."))
        # A user in a region of another operation is one of those that are used.
        if not pure or operation.name == "stablehlo.custom_call" or users & used or users - inside:
            used.add(operation)
            found.append(operation)
    return found[::-1]


def _flops(operation: Any, ir: Any) -> int:
    left, result = (ir.RankedTensorType(value.type) for value in (operation.operands[0], operation.results[0]))
    contracting = [left.rank - 1]
    if operation.name == "stablehlo.dot_general":
        numbers = str(operation.attributes["dot_dimension_numbers"])
        found = re.search(r"lhs_contracting_dimensions = \[([\d, ]*)\]", numbers)
        contracting = [int(dimension) for dimension in filter(None, (found[1] if found else "").split(","))]
    return 2 * math.prod(result.shape) * math.prod(left.get_dim_size(dimension) for dimension in contracting)


def _failure(message: str) -> dict[str, Any]:
    """Parses the compiler's error; if memory is short, the result has the memory that would be used."""
    # "… required for HLO temporaries (40.25G) exceeds available HBM (15.75G)", or "Used 20.45G of 15.75G hbm".
    used = re.search(r"Ran out of memory.*?([\d.]+)([KMG])\b.*?([\d.]+)([KMG])\b", message)
    if used:
        unit = {"K": 2**10, "M": 2**20, "G": 2**30}
        return {
            "used": float(used[1]) * unit[used[2]],
            "available": float(used[3]) * unit[used[4]],
            "error": message.partition("\n")[0],
        }
    operation = re.search(r'op_name="([^"]+)"', message) or re.search(r'loc\("([^"]+)"', message)
    return {"error": message.strip().partition("\n")[0], "operation": operation[1] if operation else ""}


if __name__ == "__main__":
    program, result, slice_name, replicas, *hosts = sys.argv[1:]
    try:
        answer = compile_program(Path(program).read_bytes(), slice_name, int(replicas), [int(chips) for chips in hosts])
    except MissingError as error:
        answer = {"missing": str(error)}
    Path(result).write_text(json.dumps(answer), encoding="utf-8")
