"""The product of states with a kernel and its adapter, compared with its definition."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.modeling.lora import LowRank, product

SIZES = [4, 3, 5]


def adapter(adapted: list[bool]) -> LowRank:
    layer = LowRank(6, SIZES, adapted, rank=2, scale=1.5)
    random = np.random.default_rng(1)
    for up in layer.up:  # zeros at first
        up.assign(random.normal(size=up.shape))
    return layer


def random(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(sum(shape)).normal(size=shape), tf.float32)


@pytest.mark.parametrize("adapted", [[True, True, True], [True, False, True], [False, False, True]])
@pytest.mark.parametrize(("first", "last"), [(0, 3), (1, 3), (2, 3)])
def test_the_product_and_its_gradients_are_those_of_the_sum_of_the_matrices(
    adapted: list[bool], first: int, last: int
) -> None:
    layer, states, bias = adapter(adapted), random(2, 7, 6), random(sum(SIZES[first:last]))
    kernel = tf.Variable(random(6, sum(SIZES[first:last])))
    weights = random(2, 7, sum(SIZES[first:last]))

    def by_definition() -> Any:
        pairs = {number: (down, up) for number, down, up in layer.pairs()}
        parts = [
            tf.matmul(pairs[number][0], pairs[number][1]) * 1.5 if number in pairs else tf.zeros((6, SIZES[number]))
            for number in range(first, last)
        ]
        return tf.einsum("bti,io->bto", states, tf.stop_gradient(kernel) + tf.concat(parts, 1)) + bias

    found = []
    for compute in (lambda: product(states, kernel, bias, layer.factors(first, last)), by_definition):
        with tf.GradientTape() as tape:
            tape.watch(states)
            outputs = compute()
            loss = tf.reduce_sum(outputs * weights)
        used = [variable.value for variable in (*layer.down, *layer.up)]
        found.append((outputs, *tape.gradient(loss, [states, *used], unconnected_gradients="zero")))
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_parts_without_an_adapter_have_no_factors() -> None:
    assert adapter([False, False, True]).factors(0, 2) is None


def test_a_small_step_of_the_adapter_is_not_lost_in_bfloat16() -> None:
    def matrix(*rows: list[float]) -> Any:
        return tf.constant(rows, tf.bfloat16)

    # The kernel's products cancel. Next to 1, bfloat16 numbers are 1/128 apart.
    found = product(matrix([1.0, -1.0]), matrix([1.0], [1.0]), None, (matrix([1.0], [0.0]), matrix([0.001])))
    assert float(found[0, 0]) == pytest.approx(0.001, rel=0.01)
