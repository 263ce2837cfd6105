"""Loops in saved graphs: their executor, and the operations that are fused in them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from seqline.components.export.executor import EXECUTOR, in_one_thread
from seqline.components.export.loops import LOOPS, prepare_loops
from seqline.saved_models import load_signatures


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
    prepare_loops(tmp_path)
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


def functions(model: Path) -> dict[str, Any]:
    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    return {function.signature.name: function for function in saved.meta_graphs[0].graph_def.library.function}


def kinds_in_loops(model: Path) -> Counter[str]:
    """The operations in the bodies of loops, by kind."""
    found = functions(model)
    nodes = [node for function in found.values() for node in function.node_def]
    bodies = {node.attr["body"].func.name for node in nodes if node.op in LOOPS}
    return Counter(node.op for name in bodies for node in found[name].node_def)


def test_products_with_biases_are_fused_where_nothing_else_reads_them(tmp_path: Path) -> None:
    chooser = np.random.default_rng(1)
    matrix = tf.constant(chooser.normal(0, 0.5, (4, 4)), tf.float32)
    bias = tf.constant(chooser.normal(0, 1, 4), tf.float32)

    def layers(rows: Any) -> Any:
        def step(count: Any, rows: Any) -> tuple[Any, Any]:
            hidden = tf.nn.relu(tf.nn.bias_add(rows @ matrix, bias))  # fused, all three
            both = tf.nn.bias_add(hidden @ matrix, bias)  # fused without the activation, since two operations read it
            rows = tf.nn.relu(both) - both
            shared = rows @ matrix  # read twice
            rows = tf.nn.bias_add(shared, bias) + shared
            turned = tf.nn.bias_add(tf.matmul(rows, matrix, transpose_b=True), bias)
            short, narrow, low = (tf.cast(one, tf.bfloat16) for one in (turned, matrix, bias))
            # Not a float32 product, and no product.
            half = tf.nn.bias_add(tf.nn.bias_add(short @ narrow, low), low)
            # The result of the last one is the function's own.
            return count + 1, tf.nn.bias_add(tf.tanh(tf.cast(half, tf.float32)) @ matrix, bias)

        return {"rows": tf.while_loop(lambda count, _: count < 3, step, (0, rows))[1]}

    serve = in_one_thread(layers).get_concrete_function(rows=tf.TensorSpec((None, 4), tf.float32, "rows"))
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serve": serve})
    rows = tf.constant(chooser.normal(0, 1, (5, 4)), tf.float32)
    before, kinds = serve(rows=rows)["rows"], kinds_in_loops(tmp_path)
    prepare_loops(tmp_path)
    after = load_signatures(tmp_path)["serve"](rows=rows)["rows"]  # which adds nothing that a node lacks
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    changed = kinds_in_loops(tmp_path)
    changed.subtract(kinds)
    assert {kind: number for kind, number in changed.items() if number} == {
        "_FusedMatMul": 3,
        "MatMul": -3,
        "BiasAdd": -3,
        "Relu": -1,
    }


def test_the_loops_of_an_exported_model_have_fused_products(small_model: Path) -> None:
    assert kinds_in_loops(small_model)["_FusedMatMul"] > 0
