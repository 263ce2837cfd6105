"""How every engine is timed: text in to text out, in a process of its own. Needs the standard library only."""

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
    """Reads a task from standard input, and writes what was measured as the last line of standard output.

    Args:
        load: Loads the engine; gets the task: `model`, `tokenizer`, `beam_size`, `texts`, `batch_size`, `passes`,
            `singles`, `threads` of an operation, `workers` (batches that are decoded at once), and what the engine
            asked for.
        prepare: Makes the engine's model, and adds to the task where it is; not timed.
    """
    task = json.load(sys.stdin)
    if prepare:
        task |= prepare(task)
    texts, size = task["texts"], task["batch_size"]

    def one_by_one(batches: list[list[str]]) -> list[float]:
        seconds = []
        for batch in batches:
            start = time.perf_counter()
            translate(batch)
            seconds.append(time.perf_counter() - start)
        return seconds

    def together(batches: list[list[str]]) -> tuple[float, list[str]]:
        start = time.perf_counter()
        answers = [answer for batch in pool.map(translate, batches) for answer in batch]
        return time.perf_counter() - start, answers

    start = time.perf_counter()
    translate = load(task)
    loading = time.perf_counter() - start
    (first,) = one_by_one([texts[:size]])
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    with ThreadPoolExecutor(task["workers"]) as pool:
        passes = [together(batches) for _ in range(task["passes"])]
    alone = one_by_one([[text] for text in texts[: task["singles"]]])
    measured = {
        "load": loading,
        "first": first,
        "rate": len(texts) / min(seconds for seconds, _ in passes),
        # The first few still allocate.
        "latency": statistics.median(alone[5:]),
        "answers": passes[0][1],
    }
    print(json.dumps(measured))
