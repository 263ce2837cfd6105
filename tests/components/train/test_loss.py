import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train import loss
from tests.examples import examples


def textbook(
    states: tf.Tensor, kernel: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, smoothing: float
) -> tf.Tensor:
    size = kernel.shape[0]
    smoothed = tf.one_hot(labels, size, dtype=states.dtype) * (1 - smoothing) + smoothing / size
    logits = tf.matmul(states, kernel, transpose_b=True)
    return tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(smoothed, logits) * weights)


@examples(25)
@given(
    rows=st.integers(0, 23),
    chunk=st.integers(1, 9),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 99),
)
def test_value_and_gradients_are_those_of_the_textbook_however_the_rows_are_cut(
    rows: int, chunk: int, smoothing: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    states, kernel = (tf.constant(random.normal(size=(n, 8)), tf.float32) for n in (rows, 13))
    labels = tf.constant(random.integers(0, 13, rows), tf.int32)
    weights = tf.constant(random.integers(0, 2, rows), tf.float32)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "CHUNK_BYTES", chunk * 4 * 13)
        for function in (loss.smoothed_cross_entropy, textbook):
            with tf.GradientTape() as tape:
                tape.watch((states, kernel))
                value = 3 * function(states, kernel, labels, weights, smoothing)
            found.append((value, *tape.gradient(value, (states, kernel))))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_bfloat16_states_is_that_of_float32_logits(smoothing: float) -> None:
    random = np.random.default_rng(1)
    states, kernel = (tf.constant(4 * random.normal(size=(rows, 16)), tf.bfloat16) for rows in (40, 300))
    labels, weights = tf.constant(random.integers(0, 300, 40), tf.int32), tf.ones(40)
    exact = [tf.cast(one, tf.float64) for one in (states, kernel)]
    expected = textbook(*exact, labels, tf.cast(weights, tf.float64), smoothing)
    found = loss.smoothed_cross_entropy(states, kernel, labels, weights, smoothing)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
