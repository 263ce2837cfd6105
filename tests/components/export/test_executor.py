from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.export.executor import EXECUTOR, in_one_thread, run_loops_in_one_thread


def collatz_steps(numbers: Any) -> Any:
    """Steps until each number has come to 1: a loop with a loop in it, and a branch in that."""

    def steps(number: Any) -> Any:
        def once(value: Any, count: Any) -> tuple[Any, Any]:
            return tf.cond(value % 2 == 0, lambda: value // 2, lambda: 3 * value + 1), count + 1

        return tf.while_loop(lambda value, count: value > 1, once, (number, 0))[1]

    return {"steps": tf.map_fn(steps, numbers)}


def test_loops_and_branches_of_a_saved_graph_name_the_executor_and_count_as_before(tmp_path: Path) -> None:
    function = in_one_thread(collatz_steps).get_concrete_function(numbers=tf.TensorSpec((None,), tf.int32, "numbers"))
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serving_default": function})
    run_loops_in_one_thread(tmp_path)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    # 27 takes 111 steps (OEIS A006577): deep enough for a call stack that grew with every step to show.
    assert loaded(numbers=tf.constant([1, 6, 27] * 500))["steps"].numpy().tolist() == [0, 8, 111] * 500
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    loops = [node.attr["body"].func for node in nodes if node.op in ("While", "StatelessWhile")]
    branches = [node.attr["then_branch"].func for node in nodes if node.op in ("If", "StatelessIf")]
    assert len(loops) >= 2
    assert branches
    assert {function.attr["_executor"].s.decode() for function in loops + branches} == {EXECUTOR}
    assert EXECUTOR.encode() in {node.attr["executor_type"].s for node in nodes}
