"""Reading cycles, memory traffic and sums over replicas from the text of a compiled program.

The compiler annotates each operation with the cycles that it expects (`estimated_cycles`) and each type with a memory:
`S(1)` is the core's own, no annotation is HBM. XLA's cost analysis counts a loop's body once; this module counts it as
often as it runs.
"""

import re
from dataclasses import dataclass, field

BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8,
    "u64": 8, "f64": 8, "c64": 8,
}  # fmt: skip
# Operations that move no data.
FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional", "copy-done",
    "all-reduce-done", "async-start", "async-done", "after-all", "partition-id", "replica-id", "iota",
}  # fmt: skip
INSTRUCTION = re.compile(r"^\s+(ROOT )?%(?P<name>\S+) = (?P<type>.*?) (?P<opcode>[a-z][a-z0-9-]*)\((?P<rest>.*)$")
ARRAY = re.compile(r"(?P<dtype>[a-z]+\d*)\[(?P<shape>[\d,]*)\](?:\{(?P<layout>[^{}]*)\})?")


@dataclass(frozen=True)
class Instruction:
    """A line of the program.

    Attributes:
        name: Name.
        type: Type of the result.
        opcode: Operation code.
        operands: Names of the operands.
        called: Computations that it runs, by role: body, condition, calls, to_apply.
        operation: TensorFlow's name of the op that it comes from.
        cycles: Cycles that the compiler expects.
    """

    name: str
    type: str
    opcode: str
    operands: list[str]
    called: dict[str, str]
    operation: str
    cycles: int


Computation = dict[str, Instruction]
Computations = dict[str, Computation]


@dataclass
class Work:
    """The work of one step on one core.

    Attributes:
        cycles: Cycles that the compiler expects, with loops counted as often as they run.
        hbm_bytes: Bytes moved between the core and its HBM.
        reduced_bytes: Bytes summed over the replicas.
        all_reduces: Number of operations that sum over the replicas.
        loops: Runs of each loop, by TensorFlow's name of it.
    """

    cycles: int = 0
    hbm_bytes: int = 0
    reduced_bytes: int = 0
    all_reduces: int = 0
    loops: dict[str, int] = field(default_factory=dict)


def read_program(text: str) -> Work:
    """Sums up the work of a compiled program.

    Args:
        text: The optimized HLO.
    """
    computations, entry = _parse(text)
    work = Work()
    _add(work, computations, entry, 1)
    return work


def _parse(text: str) -> tuple[Computations, str]:
    computations: Computations = {}
    entry = ""
    current: Computation = {}
    for line in text.splitlines():
        opened = re.match(r"^(ENTRY )?%(\S+) \(.*\{$", line)
        if opened:
            current = computations[opened[2]] = {}
            entry = opened[2] if opened[1] else entry
            continue
        match = INSTRUCTION.match(line)
        if not match:
            continue
        rest = match["rest"]
        arguments, _, attributes = rest.partition(")")
        cycles = re.search(r'"estimated_cycles":"(\d+)"', attributes)
        operation = re.search(r'op_name="([^"]*)"', attributes)
        instruction = Instruction(
            match["name"],
            match["type"],
            match["opcode"],
            # A constant's argument is its value, which bounds a loop.
            [arguments] if match["opcode"] in ("constant", "parameter") else re.findall(r"%([^\s,()]+)", arguments),
            dict(re.findall(r"(body|condition|calls|to_apply)=%([^\s,]+)", attributes)),
            operation[1] if operation else "",
            int(cycles[1]) if cycles else 0,
        )
        current[instruction.name] = instruction
    return computations, entry


def _add(work: Work, computations: Computations, name: str, times: int) -> None:
    block = computations[name]
    for instruction in block.values():
        if instruction.opcode == "while":
            runs = _runs(computations[instruction.called["condition"]])
            work.loops[instruction.operation] = runs
            _add(work, computations, instruction.called["body"], times * runs)
        elif instruction.opcode == "call":
            _add(work, computations, instruction.called["to_apply"], times)
        work.cycles += times * instruction.cycles
        if instruction.opcode.startswith("all-reduce") and not instruction.opcode.endswith("done"):
            work.all_reduces += times
            work.reduced_bytes += times * sum(_size(block[name].type, True) for name in instruction.operands)
        if instruction.opcode not in FREE:
            work.hbm_bytes += times * _moved(instruction, block, computations)


def _runs(condition: Computation) -> int:
    """How often a loop runs: its counter starts at 0 and is compared with this bound."""
    bounds = [
        int(instruction.operands[0])
        for instruction in condition.values()
        if instruction.opcode == "constant" and re.fullmatch(r"\d+", instruction.operands[0])
    ]
    return max(bounds, default=1)


def _moved(instruction: Instruction, block: Computation, computations: Computations) -> int:
    """Bytes that an operation reads from and writes to HBM."""
    inner = computations.get(instruction.called.get("calls", ""), {})
    parameters = {int(one.operands[0]): one.name for one in inner.values() if one.opcode == "parameter"}
    total = 0 if instruction.opcode == "dynamic-update-slice" else _size(instruction.type)
    roots = [one for one in inner.values() if one.opcode == "dynamic-update-slice"]
    if roots:
        # An update in place writes only the slice.
        total = sum(_size(inner[root.operands[1]].type) for root in roots if root.operands[1] in inner)
    for number, name in enumerate(instruction.operands):
        if name not in block:
            continue
        size = _size(block[name].type)
        parameter = parameters.get(number)
        if parameter and size:
            users = [one for one in inner.values() if parameter in one.operands]
            if users and all(one.opcode in ("dynamic-slice", "gather", "dynamic-update-slice") for one in users):
                size = sum(_size(one.type, True) for one in users if one.opcode != "dynamic-update-slice")
        total += size
    return total


def _size(type_: str, everywhere: bool = False) -> int:
    """Bytes of the arrays in a type that are in HBM, or everywhere."""
    total = 0
    for array in ARRAY.finditer(type_):
        if array["dtype"] not in BYTES or (not everywhere and "S(" in (array["layout"] or "")):
            continue
        count = 1
        for side in filter(None, array["shape"].split(",")):
            count *= int(side)
        total += count * BYTES[array["dtype"]]
    return total
