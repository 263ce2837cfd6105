"""Measures an engine that continues prompts, in its own process. Needs only the standard library."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Generate = Callable[[list[list[int]]], list[list[int]]]
"""Continues a batch of prompts; returns the new tokens of each."""


def run(load: Callable[[dict[str, Any]], Generate]) -> None:
    """Reads a task from standard input, and writes the measurements as the last line of standard output.

    Args:
        load: Loads the engine. Its argument is the task: `folder` of the checkpoint, `prompts` (token ids), `tokens`
            (the number of new tokens of each prompt), `sizes` of batches, `passes` over all prompts, `threads`, and the
            engine's own keys.
    """
    task = json.load(sys.stdin)
    generate, prompts = load(task), task["prompts"]
    rates, outputs = {}, []
    for size in task["sizes"]:
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        generate(batches[0])  # compiles, or allocates memory
        best = float("inf")
        for _ in range(task["passes"]):
            began = time.perf_counter()
            outputs = [output for batch in batches for output in generate(batch)]
            best = min(best, time.perf_counter() - began)
        if wrong := {len(output) for output in outputs} - {task["tokens"]}:
            raise RuntimeError(f"outputs have {sorted(wrong)} tokens instead of {task['tokens']}")
        rates[f"b{size}"] = len(prompts) * task["tokens"] / best
    print(json.dumps({"tokens_per_second": rates, "outputs": outputs}))
