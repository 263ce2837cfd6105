"""How every engine is timed: text in to text out, in a process of its own. Needs the standard library only."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

Translate = Callable[[list[str]], list[str]]


def run(
    load: Callable[[dict[str, Any]], Translate], prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> None:
    """Reads a task from standard input, and writes what was measured as the last line of standard output.

    Args:
        load: Loads the engine; gets the task: `model`, `tokenizer`, `beam_size`, `texts`, `batch_size`, `passes`,
            `singles`, and what the engine asked for.
        prepare: Makes the engine's model, and adds to the task where it is; not timed.
    """
    task = json.load(sys.stdin)
    if prepare:
        task |= prepare(task)
    texts, size = task["texts"], task["batch_size"]

    def timed(batches: list[list[str]]) -> tuple[list[float], list[str]]:
        seconds, answers = [], []
        for batch in batches:
            start = time.perf_counter()
            answers += translate(batch)
            seconds.append(time.perf_counter() - start)
        return seconds, answers

    start = time.perf_counter()
    translate = load(task)
    loading = time.perf_counter() - start
    (first,), _ = timed([texts[:size]])
    passes = [timed([texts[i : i + size] for i in range(0, len(texts), size)]) for _ in range(task["passes"])]
    alone, _ = timed([[text] for text in texts[: task["singles"]]])
    measured = {
        "load": loading,
        "first": first,
        "rate": len(texts) / min(sum(seconds) for seconds, _ in passes),
        # The first few still allocate.
        "latency": statistics.median(alone[5:]),
        "answers": passes[0][1],
    }
    print(json.dumps(measured))
