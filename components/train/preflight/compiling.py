"""Running the TPU compiler on a program, in a separate process."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqline.components.train.preflight.compiler import ENVIRONMENT
from seqline.components.train.preflight.program import Work, read_program
from seqline.components.train.preflight.slices import GIB, Slice
from seqline.errors import UserError


@dataclass(frozen=True)
class Compiled:
    """The compiler's result for one core.

    Attributes:
        error: Why the program does not compile or fit; empty if it does.
        operation: TensorFlow's name of the op that causes the error, if known.
        hbm_bytes: Memory that it uses, or would use.
        fixed_bytes: The part that does not depend on the batch: variables and the program itself.
        flops: FLOP of its matrix products.
        work: Cycles and memory traffic.
    """

    error: str = ""
    operation: str = ""
    hbm_bytes: float = 0.0
    fixed_bytes: float = 0.0
    flops: float = 0.0
    work: Work = field(default_factory=Work)

    @property
    def too_large(self) -> bool:
        """Whether the program compiles but does not fit the memory."""
        return bool(self.error) and self.hbm_bytes > 0


def compile_for(
    slice_: Slice, hlo: bytes, lines: dict[str, str] | None = None, replicas: int | None = None
) -> Compiled:
    """Compiles a program for the cores of a slice.

    Args:
        slice_: The slice.
        hlo: The program of one replica.
        lines: By op name, the line of code that made it.
        replicas: Number of cores that run it; all of the slice by default.

    Raises:
        UserError: If the compiler is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="preflight.") as folder:
        program, result = Path(folder) / "program.hlo", Path(folder) / "result.json"
        program.write_bytes(hlo)
        command = [sys.executable, "-m", "seqline.components.train.preflight.compiler", str(program), str(result)]
        command += [slice_.name, str(replicas or slice_.replicas), *map(str, _chips_of_a_host(slice_))]
        # The current folder must not shadow a module.
        environment = {**os.environ, **ENVIRONMENT, "PYTHONSAFEPATH": "1"}
        process = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        if not result.exists():
            printed = [line for line in process.stderr.splitlines() if line.strip()]
            reason = next((line for line in reversed(printed) if "Check failed" in line or "Error" in line), "")
            return Compiled(error=f"the TPU compiler ended with code {process.returncode}: {reason or printed[-1:]}")
        answer = json.loads(result.read_text(encoding="utf-8"))
    if "missing" in answer:
        raise UserError(answer["missing"])
    if "error" in answer:
        operation = answer.get("operation", "")
        line = (lines or {}).get(operation, "")
        named = f"{operation} ({line})" if line else operation
        return Compiled(answer["error"], named, answer.get("used", 0.0))
    memory = answer["memory"]
    fixed = memory["arguments"] + memory["outputs"] - memory["aliased"] + memory["code"]
    used = fixed + memory["temporary"]
    work = read_program(answer["text"])
    flops = sum(flop * _times(work, operation) for flop, operation in answer["products"])
    compiled = Compiled(hbm_bytes=used, fixed_bytes=fixed, flops=flops, work=work)
    if used > slice_.hbm_gib * GIB:
        return replace(compiled, error=f"it uses {used / GIB:.2f} GiB of {slice_.hbm_gib:.2f} GiB")
    return compiled


def _times(work: Work, operation: str) -> int:
    """How often a product runs: products inside a loop have the loop's name in their path."""
    times = 1
    for loop, runs in work.loops.items():
        if loop and (operation.startswith(f"{loop}/") or f"/{loop}/" in operation):
            times *= runs
    return times


def _chips_of_a_host(slice_: Slice) -> list[int]:
    """Chips of a host by dimension; empty for the compiler's default of 2x2.

    Small slices have fewer, and a large v5e host has eight.
    """
    sides = [*map(int, slice_.topology.split("x")), 1][:3]
    if any(side % 2 for side in sides[:2]) or (slice_.version == "v5e" and sides[:2] in ([2, 4], [4, 2])):
        return sides
    return []
