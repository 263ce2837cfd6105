"""Seqline's SavedModel in `benchmarks.decode`."""

import os
from pathlib import Path
from typing import Any

from benchmarks.decode_timing import Translate, run
from seqline.lean_tensorflow import import_lean, load_text_ops
from seqline.saved_models import load_signatures


def load(task: dict[str, Any]) -> Translate:
    """Loads the serving signature, as the server does."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import_lean()
    import tensorflow as tf

    load_text_ops()

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(max(2, task["workers"]))
    signature = load_signatures(Path(task["model"]))["serving_default"]

    def translate(texts: list[str]) -> list[str]:
        outputs = signature(text=tf.constant(texts, tf.string))["text"].numpy()
        return [output.decode() for output in outputs]

    return translate


if __name__ == "__main__":
    run(load)
