"""Ops that a TPU does not support."""

from typing import Any

import pytest
import tensorflow as tf

from seqline.components.train.preflight.compiling import compile_for
from seqline.components.train.preflight.lowering import LoweringError, lower
from seqline.components.train.preflight.slices import read_slice


def on_strings(states: Any) -> Any:
    return states * tf.strings.to_number(tf.strings.as_string(states[0, 0]))


def on_the_host(states: Any) -> Any:
    return tf.ensure_shape(tf.py_function(lambda x: x + 1, [states], tf.float32), states.shape)


@pytest.mark.parametrize(
    ("fault", "operation", "line"),
    [(on_strings, "AsString|StringToNumber", on_strings), (on_the_host, "EagerPyFunc", on_the_host)],
)
def test_an_unsupported_op_is_named_with_the_line_that_made_it(fault: Any, operation: str, line: Any) -> None:
    number = line.__code__.co_firstlineno + 1
    with pytest.raises(LoweringError, match=rf"op ({operation}) of .*test_lowering.py:{number}: there is no such op"):
        lower(fault, [tf.TensorSpec((4, 8), tf.float32)])


def test_an_unknown_shape_is_an_error() -> None:
    with pytest.raises(LoweringError, match="shape"):
        lower(lambda states: states * 2, [tf.TensorSpec((None, 8), tf.float32)])


def test_every_op_has_the_line_that_made_it() -> None:
    def double(states: Any) -> Any:
        return tf.add(states, states, name="doubled")

    lowered = lower(double, [tf.TensorSpec((4, 8), tf.float32)])
    number = double.__code__.co_firstlineno + 1
    assert lowered.lines["doubled"] == f"tests/components/train/preflight/test_lowering.py:{number}"
    assert lowered.hlo


@pytest.mark.e2e
def test_a_program_that_does_not_fit_is_reported_with_the_memory_that_it_needs() -> None:
    lowered = lower(lambda left, right: tf.matmul(tf.nn.relu(left), right), [tf.TensorSpec((60_000, 60_000))] * 2)
    found = compile_for(read_slice("v5e:1x1"), lowered.hlo)
    assert found.too_large
    assert found.hbm_bytes > 2 * 60_000**2 * 4
