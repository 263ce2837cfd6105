"""Seqline's train stage in `benchmarks.pretrained.train`."""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training.task import run_task
from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.options import Options
from seqline.components.train.stage import train


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Trains for two epochs; the first, which also compiles, is excluded.

    Args:
        task: `folder` of the checkpoint, `corpus`, its number of `tokens`, `batch_tokens`, `rank`, `alpha`, `threads`.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = Options(
        pretrained=task["folder"],
        fine_tuning="lora",
        lora_rank=task["rank"],
        lora_alpha=task["alpha"],
        batch_tokens=task["batch_tokens"],
        epochs=2,
        patience=0,
        decoded_sample=0,
        label_smoothing=0.0,
        dropout=0.0,
    )
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "checkpoint"
        train(Path(task["corpus"]), output, options=options)
        history = json.loads(Checkpoint(output).history.read_text())
    return {"tokens_per_second": task["tokens"] / history[-1]["seconds"], "loss": history[-1]["loss"]}


if __name__ == "__main__":
    run_task(run)
