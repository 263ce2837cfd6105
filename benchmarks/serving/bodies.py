"""Hostile request bodies: how long each blocks the server's event loop, and how much memory it takes.

    python -m benchmarks.serving.bodies [--quick]

Each body is received and read as the server does, in a process of its own, while a task on the same event loop wakes
every millisecond. Metrics, of the worst body:

    block_ms        longest time that the event loop was blocked
    memory          peak memory beyond the process before the request, over the size of a body of 2 MB or more
    memory_mb       the same in MB, of any body: 1 MB of ASCII with an emoji in each text takes four bytes a character
    refused_ms      longest time until the answer to a body that is refused
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.results import finish, parser, show
from seqline.serving.app import receive_body
from seqline.serving.limits import Limits
from seqline.serving.request_body import parse_body, read_body
from seqline.serving.request_errors import RequestError

CHUNK = 65_536  # as uvicorn passes a body on
Body = Callable[[int], bytes]


def _instances(element: bytes) -> Body:
    return lambda size: (b'{"instances": [' + (element + b",") * (size // (len(element) + 1) + 1))[:size]


def _repeated(head: bytes, part: bytes, tail: bytes = b"") -> Body:
    return lambda size: head + part * ((size - len(head) - len(tail)) // len(part)) + tail


def _accepted(element: bytes, count: int, most: int) -> Body:
    """A body within the limits: equal texts."""

    def make(size: int) -> bytes:
        times = min(most, (size // count - 3) // len(element))
        return b'{"instances": [' + b",".join([b'"' + element * times + b'"'] * count) + b"]}"

    return make


BODIES: dict[str, Body] = {
    "numbers": _instances(b"1"),
    "strings": _instances(b'"a"'),
    "empty strings": _instances(b'""'),
    "objects": _instances(b'{"text":"a"}'),
    "empty arrays": _instances(b"[]"),
    "nested arrays": _repeated(b'{"instances": ', b"["),
    "nested objects": _repeated(b"", b'{"instances":'),
    "a long string": _repeated(b'{"instances": ["', b"a", b'"]}'),
    "a long string of quotes": _repeated(b'{"instances": ["', b'\\"', b'"]}'),
    "a long string of backslashes": _repeated(b'{"instances": ["', b"\\\\", b'"]}'),
    "an open string": _repeated(b'{"instances": ["', b"a"),
    "invalid UTF-8": _repeated(b'{"instances": ["', b"\xff", b'"]}'),
    "a big integer": _repeated(b'{"instances": ["a"], "parameters": {"beam_size": ', b"9", b"}}"),
    "equal keys": _repeated(b"{", b'"instances":[],'),
    "unknown keys": _repeated(b"{", b'"a":1,'),
    "a long key": _repeated(b'{"', b"a", b'": 1}'),
    "spaces": _repeated(b'{"instances": [', b" ", b'"a"]}'),
    "spaces between texts": _instances(b'"a"' + b" " * 9_000),
    "quotes between texts": _instances(b'"' + b'\\"' * 9_000 + b'"'),
    "base64": _instances(b'{"b64": "' + b"YWFh" * 2_000 + b'"}'),
    "accepted: ASCII": _accepted(b"a", 1000, 1000),
    "accepted: emoji": _accepted("\U0001f600".encode(), 1000, 1000),
    "accepted: an emoji in each text": lambda size: (
        b'{"instances": ['
        + b",".join([b'"' + b"a" * 995 + "\U0001f600".encode() + b'"'] * min(1000, size // 1100))
        + b"]}"
    ),
    "accepted: escapes": _accepted(b"\\ud83d\\ude00", 800, 1250),
    "accepted: quotes": _accepted(b'\\"', 50, 20_000),
    "accepted: base64": lambda size: (
        b'{"instances": [' + b",".join([b'{"b64": "' + b"YWFh" * 330 + b'"}'] * min(1000, size // 1400)) + b"]}"
    ),
}


@dataclass(frozen=True)
class _Measured:
    name: str
    size: float
    block_ms: float
    memory_mb: float
    ms: float
    outcome: str


class _Request:
    """A request whose body arrives in chunks."""

    def __init__(self, file: Path) -> None:
        self.file = file

    async def stream(self) -> AsyncIterator[bytes]:
        """The body; the file is read as it goes, so that its size does not count."""
        with self.file.open("rb") as content:
            while chunk := content.read(CHUNK):
                yield chunk
                await asyncio.sleep(0)


async def _measure(file: Path) -> dict[str, float | str]:
    blocked = 0.0

    async def watch() -> None:
        nonlocal blocked
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            blocked = max(blocked, time.perf_counter() - due)

    await read_body(b" " * 20_000 + b'{"instances": ["a"]}', Limits(), False, parse_body)  # starts the thread
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    blocked, before = 0.0, _peak(reset=True)
    started = time.perf_counter()
    try:
        body = await read_body(await receive_body(_Request(file)), Limits(), False, parse_body)  # type: ignore[arg-type]
        outcome = f"{len(body.texts)} texts"
    except RequestError as error:
        outcome = str(error)
    seconds = time.perf_counter() - started
    await asyncio.sleep(0.01)
    watching.cancel()
    return {
        "block_ms": 1000 * blocked,
        "memory_mb": (_peak() - before) / 1e6,
        "ms": 1000 * seconds,
        "outcome": outcome,
    }


def _peak(reset: bool = False) -> int:
    """Peak resident memory in bytes; `reset` starts again from the present one."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main() -> int:
    """Runs the benchmark; with --body, measures one."""
    flags = parser("serving.bodies", __doc__.splitlines()[0])
    flags.add_argument("--body", type=Path, help=argparse.SUPPRESS)
    args = flags.parse_args()
    if args.body:
        print(json.dumps(uvloop.run(_measure(args.body))))
        return 0
    size = 2_400_000 if args.quick else Limits().body_bytes
    found: list[_Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        for name, make in BODIES.items():
            file.write_bytes(make(size))
            command = [sys.executable, "-m", "benchmarks.serving.bodies", "--body", str(file)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.append(_Measured(name, file.stat().st_size / 1e6, **json.loads(done.stdout)))
    rows = [[one.name, one.size, one.block_ms, one.memory_mb, one.ms, one.outcome[:60]] for one in found]
    show("Hostile bodies", ["body", "MB", "block ms", "memory MB", "ms", "outcome"], rows)
    finish(
        {
            "block_ms": max(one.block_ms for one in found),
            "memory": max(one.memory_mb / one.size for one in found if one.size >= 2),
            "memory_mb": max(one.memory_mb for one in found),
            "refused_ms": max(one.ms for one in found if not one.outcome.endswith("texts")),
        },
        args.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
