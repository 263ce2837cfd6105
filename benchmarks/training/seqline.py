"""Seqline in `benchmarks.train`: the train stage."""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training.task import run_task
from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.options import Options
from seqline.components.train.stage import train


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Trains for a few epochs; the first one, which also compiles, is excluded.

    Args:
        task: See `run_task`.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "checkpoint"
        options = Options(
            preset=task["preset"],
            epochs=1 + task["epochs"],
            patience=0,
            batch_tokens=task["batch_tokens"],
            dropout=task["dropout"],
            label_smoothing=task["label_smoothing"],
            xla=task["variant"],
        )
        train(Path(task["corpus"]), output, options=options)
        history = json.loads(Checkpoint(output).history.read_text())[1:]
    seconds = sum(entry["seconds"] for entry in history)
    return {
        "tokens_per_second": sum(entry["target_tokens"] for entry in history) / seconds,
        "padding_share": history[-1]["padding_share"],
        "of_matmul_peak": max(entry["flop_utilization"] for entry in history),
        "seconds": seconds,
    }


if __name__ == "__main__":
    run_task(run)
