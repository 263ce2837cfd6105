"""The executor of a saved graph's functions and loops."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from seqline.components.export.executor import EXECUTOR, in_one_thread, loops_in_one_thread
from tests import forked


def collatz_steps(numbers: Any) -> Any:
    """Collatz steps of each number until 1: nested loops."""

    def steps(number: Any) -> Any:
        def once(value: Any, count: Any) -> tuple[Any, Any]:
            return tf.where(value % 2 == 0, value // 2, 3 * value + 1), count + 1

        return tf.while_loop(lambda value, count: value > 1, once, (number, 0))[1]

    return {"steps": tf.map_fn(steps, numbers)}


def test_loops_of_a_single_threaded_function_are_single_threaded_and_no_others(tmp_path: Path) -> None:
    numbers = tf.TensorSpec((None,), tf.int32, "numbers")
    one = in_one_thread(collatz_steps).get_concrete_function(numbers=numbers)
    other = tf.function(collatz_steps, autograph=False).get_concrete_function(numbers=numbers)
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"one": one, "other": other})
    before = tf.saved_model.experimental.read_fingerprint(str(tmp_path)).saved_model_checksum
    loops_in_one_thread(tmp_path)
    assert tf.saved_model.experimental.read_fingerprint(str(tmp_path)).saved_model_checksum != before
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    for name in ("one", "other"):
        # 27 takes 111 steps (OEIS A006577): enough to reveal a call stack that grows with every step.
        assert loaded[name](numbers=tf.constant([1, 6, 27] * 500))["steps"].numpy().tolist() == [0, 8, 111] * 500
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    loops = [node.attr["body"].func for node in nodes if node.op in ("While", "StatelessWhile")]
    named = [loop for loop in loops if "_executor" in loop.attr]
    assert len(loops) == 4
    assert len(named) == 2
    assert {loop.attr["_executor"].s.decode() for loop in named} == {EXECUTOR}


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
