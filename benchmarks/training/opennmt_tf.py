"""OpenNMT-tf in `benchmarks.train`, in its own environment."""

import logging
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.training.task import run_task

REPORT_STEPS = 25


class TimeIsUpError(Exception):
    """Stops training; the runner has no time limit."""


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Trains with OpenNMT-tf's own runner; the first two reports, which contain the warm-up, are excluded.

    Args:
        task: See `run_task`.
    """
    import opennmt
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    shape, folder = task["shape"], task["folder"]
    model = opennmt.models.Transformer(
        opennmt.inputters.WordEmbedder(embedding_size=shape["hidden_dim"]),
        opennmt.inputters.WordEmbedder(embedding_size=shape["hidden_dim"]),
        num_layers=(shape["encoder_layers"], shape["decoder_layers"]),
        num_units=shape["hidden_dim"],
        num_heads=shape["num_heads"],
        ffn_inner_dim=shape["intermediate_dim"],
        dropout=task["dropout"],
        attention_dropout=0.0,
        ffn_dropout=0.0,
        share_embeddings=opennmt.models.EmbeddingsSharingLevel.ALL,
    )
    rates: list[float] = []
    end = time.monotonic() + task["seconds"]

    class Reports(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = re.search(r"(\d+) target", record.getMessage())
            if found:
                rates.append(float(found[1]))
                if "test" in task and time.monotonic() > end:
                    raise TimeIsUpError

    tf.get_logger().setLevel(logging.INFO)  # the import of TensorFlow sets it to WARNING
    tf.get_logger().addHandler(Reports())
    # Steps of 4,096 tokens take about half a second.
    steps = max(4, round(task["seconds"] / 0.4 / REPORT_STEPS)) * REPORT_STEPS
    with tempfile.TemporaryDirectory() as name:
        config = {
            "model_dir": f"{name}/model",
            "data": {
                "train_features_file": f"{folder}/train.source",
                "train_labels_file": f"{folder}/train.target",
                "source_vocabulary": f"{folder}/vocabulary.txt",
                "target_vocabulary": f"{folder}/vocabulary.txt",
            },
            "params": {
                "optimizer": "Adam",
                "optimizer_params": {"beta_1": 0.9, "beta_2": 0.98},
                "learning_rate": task.get("learning_rate", 2.0),
                "decay_type": "NoamDecay",
                "decay_params": {"model_dim": shape["hidden_dim"], "warmup_steps": task.get("warmup_steps", 2000)},
                "label_smoothing": task["label_smoothing"],
                "beam_width": 4,
                "length_penalty": 0.6,
            },
            "train": {
                "batch_type": "tokens",
                "batch_size": task["batch_tokens"],
                "effective_batch_size": None,
                "length_bucket_width": 1,
                "max_step": None if "test" in task else steps,
                "save_summary_steps": REPORT_STEPS,
                "save_checkpoints_steps": 100 if "test" in task else None,
                "keep_checkpoint_max": 4,
                "average_last_checkpoints": 0,
            },
        }
        jit, seed = task["variant"] == "jit", task.get("seed", 1)
        runner = opennmt.Runner(model, config, auto_config=True, jit_compile=jit, seed=seed)
        try:
            runner.train()
        except TimeIsUpError:
            return {"outputs": decode(runner, Path(name), task["test"])}
    return {"tokens_per_second": statistics.fmean(rates[2:])}


def decode(runner: Any, folder: Path, test: str) -> dict[str, list[str]]:
    """Decodes with beam 4: with the last weights, and with the average of the last checkpoints, as OpenNMT-tf advises.

    After a few hundred steps the average is worse, because the weights still change a lot.

    Args:
        runner: OpenNMT-tf's runner.
        folder: Working folder.
        test: A file of source tokens.

    Returns:
        Lines of tokens, one per sentence, for last and averaged.
    """
    averaged = folder / "averaged"
    runner.average_checkpoints(str(averaged), max_count=4)
    found = {}
    for name, checkpoint in (("last", None), ("averaged", str(averaged))):
        outputs = folder / f"{name}.txt"
        runner.infer(test, predictions_file=str(outputs), checkpoint_path=checkpoint)
        found[name] = outputs.read_text(encoding="utf-8").split("\n")[:-1]
    return found


if __name__ == "__main__":
    run_task(run)
