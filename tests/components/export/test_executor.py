"""The executor of a saved graph's functions."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from tests import forked


def call_on_one_thread(model: str) -> None:
    """Calls a model from several threads, with TensorFlow 2's and with TensorFlow 1's runtime, as servers do."""
    import tensorflow_text  # noqa: F401 (registers its ops)

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    serve = tf.saved_model.load(model).signatures["serving_default"]
    with tf.Graph().as_default():
        options = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=1, intra_op_parallelism_threads=1)
        session = tf.compat.v1.Session(config=options)
        signature = tf.compat.v1.saved_model.load(session, ["serve"], model).signature_def["serving_default"]
        call = session.make_callable(signature.outputs["text"].name, [signature.inputs["text"].name])
    texts = ["red house", "two trees and one river"]
    with ThreadPoolExecutor(8) as callers:
        once = list(
            callers.map(lambda number: serve(text=tf.constant(texts[:number]))["text"].numpy().tolist(), [1, 2] * 10)
        )
        again = list(callers.map(lambda number: call(texts[:number]).tolist(), [1, 2] * 10))
    assert once == again, (once, again)


@forked.FORKED
def test_many_concurrent_calls_on_one_thread_finish(small_model: Path, tmp_path: Path) -> None:
    # A loop waiting for a thread that waits for the loop would be a deadlock.
    callers = forked.start(tmp_path / "log.txt", call_on_one_thread, str(small_model))
    assert forked.exit_code(callers, 120) == 0, (tmp_path / "log.txt").read_text()
