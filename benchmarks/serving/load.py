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
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


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
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)


class Client:
    """One persistent connection.

    Args:
        url: URL of the predict method.
        tally: Receives the outcomes.
    """

    def __init__(self, url: str, tally: Tally) -> None:
        self.address, self.tally = urlsplit(url), tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, text: str, due: float | None = None) -> None:
        """Sends one text and records its latency.

        Args:
            text: The text.
            due: Start of the latency; now by default.
        """
        started = time.perf_counter() if due is None else due
        try:
            status = await asyncio.wait_for(self._send(text), 120)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
            self._streams = None
            self._fail(type(error).__name__)
            return
        if status == 200:
            self.tally.milliseconds.append(1000 * (time.perf_counter() - started))
        else:
            self._fail(str(status))

    async def _send(self, text: str) -> int:
        # A server closes connections that were idle for long.
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(self.address.hostname, self.address.port)
        reader, writer = self._streams
        body = json.dumps({"instances": [text]}).encode()
        head = f"POST {self.address.path} HTTP/1.1\r\nHost: {self.address.netloc}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(headers.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in headers:
            writer.close()
            self._streams = None
        return int(headers.split(b" ", 2)[1])

    def _fail(self, outcome: str) -> None:
        self.tally.failures[outcome] = self.tally.failures.get(outcome, 0) + 1


async def closed_loop(url: str, texts: list[str], clients: int, seconds: float) -> Tally:
    """Every client sends its next request when the last one is answered."""
    tally = Tally()
    end = time.perf_counter() + seconds

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
    args = parser.parse_args()
    texts = read_texts(args.texts)
    started = time.perf_counter()
    if args.rate:
        tally = uvloop.run(open_loop(args.url, texts, args.rate, args.seconds))
    else:
        tally = uvloop.run(closed_loop(args.url, texts, args.clients, args.seconds))
    seconds = time.perf_counter() - started
    times = sorted(tally.milliseconds) or [0.0]
    print(
        json.dumps(
            {
                "answered": len(tally.milliseconds),
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
