"""What a compiled program does, read from the compiler's own text of it: cycles, bytes, sums over replicas.

The compiler writes at each operation how many cycles it expects (`estimated_cycles`), and where each value lives:
`S(1)` in a type is the core's own memory, no mark is HBM. XLA's cost analysis counts a loop's body once; here it
counts as often as it runs.
"""

import re
from dataclasses import dataclass, field

BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8,
    "u64": 8, "f64": 8, "c64": 8,
}  # fmt: skip
# They move nothing themselves.
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
        name: Its name.
        type: Its result's type.
        opcode: What it does.
        operands: Names of what it takes.
        called: Computations that it runs, by role: body, condition, calls, to_apply.
        operation: TensorFlow's name of the op it comes from.
        cycles: That the compiler expects.
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
    """What one step does on one core.

    Attributes:
        cycles: That the compiler expects, loops counted as often as they run.
        hbm_bytes: Moved between the core and its HBM.
        reduced_bytes: Summed over the replicas.
        all_reduces: In how many operations.
        loops: How often a loop runs, by TensorFlow's name of it.
    """

    cycles: int = 0
    hbm_bytes: int = 0
    reduced_bytes: int = 0
    all_reduces: int = 0
    loops: dict[str, int] = field(default_factory=dict)


def read_program(text: str) -> Work:
    """Adds up what a compiled program does.

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
            # A constant has its value there, which the program's end may need.
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
    """How often a loop runs: the bound that its counter, which starts at 0, is compared with."""
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
        # Updated in place: only the slice is written.
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
    """Bytes of the arrays in a type that lie in HBM."""
    total = 0
    for array in ARRAY.finditer(type_):
        if array["dtype"] not in BYTES or (not everywhere and "S(" in (array["layout"] or "")):
            continue
        count = 1
        for side in filter(None, array["shape"].split(",")):
            count *= int(side)
        total += count * BYTES[array["dtype"]]
    return total
