"""A load generator: `python -m benchmarks.serving.load --help`. Prints one JSON object.

Without --rate every client sends its next request when the last one is answered (closed loop): the highest load. With
--rate requests arrive at random times with that mean rate (open loop, as k6's constant arrival rate, but Poisson). A
latency counts from the time when the request was due, so that a stalled server is visible.
"""

import argparse
import asyncio
import gzip
import json
import random
import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

LONGEST_SECONDS = 120.0
"""Time limit of a request."""


def read_texts(file: Path) -> list[str]:
    """Reads the sources of a corpus.

    Args:
        file: One text a line, or source TAB target; plain or .gz.
    """
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [line.split("\t")[0] for line in content.decode().splitlines()]


@dataclass
class Tally:
    """The outcomes of the requests.

    Attributes:
        milliseconds: Latencies of the requests with status 200.
        failures: Number of failed requests, by status or error.
        before: Requests with status 200 that were answered before the time that counts.
        started: Start of that time.
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    before: int = 0
    started: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """Begins the time that counts."""
        self.before, self.started = len(self.milliseconds), time.perf_counter()
        self.milliseconds.clear()


class _Connection(asyncio.Protocol):
    """A persistent connection with one request at a time; cheap, because the server shares the cores."""

    def __init__(self) -> None:
        self.open = True
        self._received = bytearray()
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> int:
        """Sends a request, and returns the status of its response."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        answered = self._answered = loop.create_future()
        timer = loop.call_later(LONGEST_SECONDS, self._fail, asyncio.TimeoutError())
        self._transport.write(request)
        try:
            return await answered
        finally:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        try:
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            status = int(head.split(b" ", 2)[1])
        except (IndexError, ValueError):
            self._fail(ValueError("a response without a status or a length"))
            return
        if len(self._received) < end + 4 + length:
            return
        self._received.clear()
        if b"connection: close" in head:
            self._close()
        if self._answered and not self._answered.done():
            self._answered.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionResetError())

    def _fail(self, error: Exception) -> None:
        self._close()
        if self._answered and not self._answered.done():
            self._answered.set_exception(error)

    def _close(self) -> None:
        self.open = False
        if self._transport:
            self._transport.close()


class Client:
    """One persistent connection.

    Args:
        url: URL of the predict method.
        tally: Receives the outcomes.
    """

    def __init__(self, url: str, tally: Tally) -> None:
        self.address, self.tally = urlsplit(url), tally
        self._connection: _Connection | None = None

    async def send(self, text: str, due: float | None = None) -> None:
        """Sends one text and records its latency.

        Args:
            text: The text.
            due: Start of the latency; now by default.
        """
        started = time.perf_counter() if due is None else due
        try:
            status = await self._send(text)
        except (OSError, asyncio.TimeoutError, ValueError) as error:
            self._connection = None
            self._fail(type(error).__name__)
            return
        if status == 200:
            self.tally.milliseconds.append(1000 * (time.perf_counter() - started))
        else:
            self._fail(str(status))

    async def _send(self, text: str) -> int:
        # A server closes connections that were idle for long.
        if self._connection is None or not self._connection.open:
            loop = asyncio.get_running_loop()
            host, port = self.address.hostname or "127.0.0.1", self.address.port or 80
            _, self._connection = await loop.create_connection(_Connection, host, port)
        return await self._connection.ask(_request(self.address.path, self.address.netloc, text))

    def _fail(self, outcome: str) -> None:
        self.tally.failures[outcome] = self.tally.failures.get(outcome, 0) + 1


@lru_cache(maxsize=100_000)
def _request(path: str, host: str, text: str) -> bytes:
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + body


async def closed_loop(url: str, texts: list[str], clients: int, seconds: float, lead: float = 0.0) -> Tally:
    """Every client sends its next request when the last one is answered.

    Args:
        url: URL of the predict method.
        texts: The texts, drawn at random.
        clients: Number of clients.
        seconds: The time that counts.
        lead: Seconds of load before.
    """
    tally = Tally()
    end = time.perf_counter() + lead + seconds
    asyncio.get_running_loop().call_later(lead, tally.begin)

    async def run(number: int) -> None:
        client, chooser = Client(url, tally), random.Random(number)
        while time.perf_counter() < end:
            await client.send(chooser.choice(texts))

    await asyncio.gather(*(run(number) for number in range(clients)))
    return tally


async def open_loop(url: str, texts: list[str], rate: float, seconds: float) -> Tally:
    """Requests arrive at random times; each uses a free connection, or a new one."""
    tally, chooser = Tally(), random.Random(1)
    free: list[Client] = []
    pending: set[asyncio.Task[None]] = set()

    async def run(text: str, due: float) -> None:
        client = free.pop() if free else Client(url, tally)
        await client.send(text, due)
        free.append(client)

    started = due = time.perf_counter()
    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(run(chooser.choice(texts), due))
        pending.add(task)
        task.add_done_callback(pending.discard)
        due += chooser.expovariate(rate)
    await asyncio.gather(*pending)
    return tally


def main() -> int:
    """Runs the load."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.load", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, help="requests per second; by default the highest load")
    parser.add_argument("--lead", type=float, default=0.0, help="seconds of the highest load before; default 0")
    args = parser.parse_args()
    texts = read_texts(args.texts)
    if args.rate:
        tally = uvloop.run(open_loop(args.url, texts, args.rate, args.seconds))
    else:
        tally = uvloop.run(closed_loop(args.url, texts, args.clients, args.seconds, args.lead))
    seconds = time.perf_counter() - tally.started
    times = sorted(tally.milliseconds) or [0.0]
    print(
        json.dumps(
            {
                "answered": len(tally.milliseconds),
                "answered_before": tally.before,
                "failed": tally.failures,
                "per_second": len(tally.milliseconds) / seconds,
                "p50": times[len(times) // 2],
                "p99": times[int(0.99 * (len(times) - 1))],
                "max": times[-1],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
