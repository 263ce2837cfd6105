"""Runs the TPU compiler on a program, in a process of its own."""

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

# Where this package lies: the process has to find it, whatever it is started from.
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Compiled:
    """What the compiler makes of a program, for one core.

    Attributes:
        error: Why it does not compile or fit; empty if it does.
        operation: TensorFlow's name of the op that the error is about, if it is about one.
        hbm_bytes: Of memory that it uses, or would.
        fixed_bytes: Of these, what no batch needs: variables, and the program itself.
        flops: Of its matrix products.
        work: What else it does.
    """

    error: str = ""
    operation: str = ""
    hbm_bytes: float = 0.0
    fixed_bytes: float = 0.0
    flops: float = 0.0
    work: Work = field(default_factory=Work)

    @property
    def too_large(self) -> bool:
        """Whether memory is all that it lacks."""
        return bool(self.error) and self.hbm_bytes > 0


def compile_for(
    slice_: Slice, hlo: bytes, lines: dict[str, str] | None = None, replicas: int | None = None
) -> Compiled:
    """Compiles a program for the cores of a slice.

    Args:
        slice_: The slice.
        hlo: The program of one replica.
        lines: By op name, the line of our code that made it.
        replicas: How many cores run it; all of the slice by default.

    Raises:
        UserError: If the compiler is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="preflight.") as folder:
        program, result = Path(folder) / "program.hlo", Path(folder) / "result.json"
        program.write_bytes(hlo)
        command = [sys.executable, "-m", "seqline.components.train.preflight.compiler", str(program), str(result)]
        command += [slice_.name, str(replicas or slice_.replicas), *map(str, _chips_of_a_host(slice_))]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run(
            command, env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        if not result.exists():
            lines_ = [line for line in done.stderr.splitlines() if line.strip()]
            said = next((line for line in reversed(lines_) if "Check failed" in line or "Error" in line), "")
            return Compiled(error=f"the TPU compiler ended with code {done.returncode}: {said or lines_[-1:]}")
        told = json.loads(result.read_text(encoding="utf-8"))
    if "missing" in told:
        raise UserError(told["missing"])
    if "error" in told:
        operation = told.get("operation", "")
        line = (lines or {}).get(operation, "")
        named = f"{operation} ({line})" if line else operation
        return Compiled(told["error"], named, told.get("used", 0.0))
    memory = told["memory"]
    fixed = memory["arguments"] + memory["outputs"] - memory["aliased"] + memory["code"]
    used = fixed + memory["temporary"]
    work = read_program(told["text"])
    flops = sum(flop * _times(work, operation) for flop, operation in told["products"])
    compiled = Compiled(hbm_bytes=used, fixed_bytes=fixed, flops=flops, work=work)
    if used > slice_.hbm_gib * GIB:
        return replace(compiled, error=f"it uses {used / GIB:.2f} GiB of {slice_.hbm_gib:.2f} GiB")
    return compiled


def _times(work: Work, operation: str) -> int:
    """How often a product runs: those of a loop carry its name before theirs."""
    times = 1
    for loop, runs in work.loops.items():
        if loop and (operation.startswith(f"{loop}/") or f"/{loop}/" in operation):
            times *= runs
    return times


def _chips_of_a_host(slice_: Slice) -> list[int]:
    """By dimension, where it is not the compiler's 2x2: small slices, and the eight chips of a large v5e host."""
    sides = [*map(int, slice_.topology.split("x")), 1][:3]
    if any(side % 2 for side in sides[:2]) or (slice_.version == "v5e" and sides[:2] in ([2, 4], [4, 2])):
        return sides
    return []
