"""The latency of short texts alone, and while long ones are decoded. Prints one JSON object.

Some clients send long texts one after the other without a pause; another sends a short one at random times.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path

import uvloop

from benchmarks.serving.load import Client, Tally, read_texts

LONG_CLIENTS = 8
PAUSE = 0.2
"""Mean seconds between an answer and the next short text."""


async def short_texts(url: str, texts: list[str], seconds: float) -> Tally:
    """Sends short texts, each after a random pause."""
    tally, chooser = Tally(), random.Random(1)
    client, end = Client(url, tally), time.perf_counter() + seconds
    while time.perf_counter() < end:
        await client.send(chooser.choice(texts))
        await asyncio.sleep(chooser.expovariate(1 / PAUSE))
    return tally


async def long_texts(url: str, texts: list[str], tally: Tally, number: int) -> None:
    """Sends long texts until it is cancelled."""
    client, chooser = Client(url, tally), random.Random(number)
    while True:
        await client.send(chooser.choice(texts))


async def measure(url: str, short: list[str], long: list[str], seconds: float) -> dict[str, float]:
    """Measures short texts alone, then beside long ones."""
    lone = await short_texts(url, short, seconds)
    behind = Tally()
    tasks = [asyncio.create_task(long_texts(url, long, behind, number)) for number in range(LONG_CLIENTS)]
    beside = await short_texts(url, short, seconds)
    for task in tasks:
        task.cancel()
    failed = sum(sum(tally.failures.values()) for tally in (lone, beside, behind))
    return {
        "lone": statistics.median(lone.milliseconds),
        "beside": statistics.median(beside.milliseconds),
        "long_per_second": len(behind.milliseconds) / seconds,
        "failed": float(failed),
    }


def main() -> int:
    """Runs the load."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.inflight", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent")
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    texts = sorted(read_texts(args.texts), key=lambda text: len(text.split()))
    tenth = max(1, len(texts) // 10)
    print(json.dumps(uvloop.run(measure(args.url, texts[:tenth], texts[-tenth:], args.seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
