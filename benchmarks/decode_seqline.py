"""Seqline's SavedModel in `benchmarks.decode`."""

import os
from typing import Any

from benchmarks.decode_timing import Translate, run


def load(task: dict[str, Any]) -> Translate:
    """Loads the serving signature."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers ops)

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(max(2, task["workers"]))
    loaded = tf.saved_model.load(task["model"])

    def translate(texts: list[str]) -> list[str]:
        outputs = loaded.signatures["serving_default"](text=tf.constant(texts, tf.string))["text"].numpy()
        return [output.decode() for output in outputs]

    return translate


if __name__ == "__main__":
    run(load)
