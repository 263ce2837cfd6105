"""A load generator: `python -m benchmarks.serving.load --help`. Prints one JSON object.

Without --rate every client asks again as soon as it is answered (closed loop): the highest load. With --rate requests
arrive at random times of that mean rate, answered or not (open loop, as k6's constant arrival rate, but Poisson): a
server that stalls is seen in the times, since each counts from when the request was due.
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
    """What came of the requests.

    Attributes:
        milliseconds: Of each that was answered with 200.
        failures: How often each other outcome was seen.
    """

    milliseconds: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)


class Client:
    """One kept connection.

    Args:
        url: Where texts are sent.
        tally: Where outcomes are noted.
    """

    def __init__(self, url: str, tally: Tally) -> None:
        self.address, self.tally = urlsplit(url), tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str, due: float | None = None) -> None:
        """Sends one text and notes the time of the answer.

        Args:
            text: The text.
            due: From when the time counts; from now by default.
        """
        started = time.perf_counter() if due is None else due
        try:
            status = await asyncio.wait_for(self._ask(text), 120)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
            self._streams = None
            self._fail(type(error).__name__)
            return
        if status == 200:
            self.tally.milliseconds.append(1000 * (time.perf_counter() - started))
        else:
            self._fail(str(status))

    async def _ask(self, text: str) -> int:
        # A server closes what has been idle for long; whoever keeps connections looks first.
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(self.address.hostname, self.address.port)
        reader, writer = self._streams
        body = json.dumps({"instances": [text]}).encode()
        head = f"POST {self.address.path} HTTP/1.1\r\nHost: {self.address.netloc}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in answer:
            writer.close()
            self._streams = None
        return int(answer.split(b" ", 2)[1])

    def _fail(self, what: str) -> None:
        self.tally.failures[what] = self.tally.failures.get(what, 0) + 1


async def closed_loop(url: str, texts: list[str], clients: int, seconds: float) -> Tally:
    """Every client asks again as soon as it is answered."""
    tally = Tally()
    end = time.perf_counter() + seconds

    async def go(number: int) -> None:
        client, chooser = Client(url, tally), random.Random(number)
        while time.perf_counter() < end:
            await client.ask(chooser.choice(texts))

    await asyncio.gather(*(go(number) for number in range(clients)))
    return tally


async def open_loop(url: str, texts: list[str], rate: float, seconds: float) -> Tally:
    """Requests arrive at random; a connection that is free, or a new one, takes each."""
    tally, chooser = Tally(), random.Random(1)
    free: list[Client] = []
    under_way: set[asyncio.Task[None]] = set()

    async def go(text: str, due: float) -> None:
        client = free.pop() if free else Client(url, tally)
        await client.ask(text, due)
        free.append(client)

    started = due = time.perf_counter()
    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(go(chooser.choice(texts), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += chooser.expovariate(rate)
    await asyncio.gather(*under_way)
    return tally


def main() -> int:
    """Runs the load that the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.load", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, help="requests a second; without it, as many as are answered")
    given = parser.parse_args()
    texts = read_texts(given.texts)
    started = time.perf_counter()
    if given.rate:
        tally = uvloop.run(open_loop(given.url, texts, given.rate, given.seconds))
    else:
        tally = uvloop.run(closed_loop(given.url, texts, given.clients, given.seconds))
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
