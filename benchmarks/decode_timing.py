"""Measures an engine, text in to text out, in its own process. Needs only the standard library."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Translate = Callable[[list[str]], list[str]]


def run(
    load: Callable[[dict[str, Any]], Translate], prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> None:
    """Reads a task from standard input, and writes the measurements as the last line of standard output.

    Args:
        load: Loads the engine. Its argument is the task: `model`, `tokenizer`, `beam_size`, `texts`, `batch_size`,
            `passes`, `singles`, `threads` of an operation, `workers` (batches decoded concurrently), and the engine's
            own keys.
        prepare: Creates the engine's model, and returns the keys to add to the task; not timed.
    """
    task = json.load(sys.stdin)
    if prepare:
        task |= prepare(task)
    texts, size = task["texts"], task["batch_size"]

    def sequentially(batches: list[list[str]]) -> list[float]:
        seconds = []
        for batch in batches:
            start = time.perf_counter()
            translate(batch)
            seconds.append(time.perf_counter() - start)
        return seconds

    def concurrently(batches: list[list[str]]) -> tuple[float, list[str]]:
        start = time.perf_counter()
        outputs = [output for batch in pool.map(translate, batches) for output in batch]
        return time.perf_counter() - start, outputs

    start = time.perf_counter()
    translate = load(task)
    loading = time.perf_counter() - start
    (first,) = sequentially([texts[:size]])
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    with ThreadPoolExecutor(task["workers"]) as pool:
        passes = [concurrently(batches) for _ in range(task["passes"])]
    singles = sequentially([[text] for text in texts[: task["singles"]]])
    measured = {
        "load": loading,
        "first": first,
        "rate": len(texts) / min(seconds for seconds, _ in passes),
        # The first few still allocate memory.
        "latency": statistics.median(singles[5:]),
        "outputs": passes[0][1],
    }
    print(json.dumps(measured))
