"""The decoder that serving runs against the model that was trained."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.export.decoder import Decoder
from components.export.layers import MASKED
from components.export.output import BLOCK, Output
from components.train.model import Transformer, TransformerConfig

CONFIG = TransformerConfig(vocabulary_size=20, encoder_layers=2, decoder_layers=2, width=8, feed_forward=16, heads=2)


@pytest.fixture(scope="module")
def model() -> Transformer:
    tf.keras.utils.set_random_seed(1)
    model = Transformer(CONFIG)
    # Weights that start at zero or one would hide a place where they are forgotten.
    model.set_weights(
        [weight + np.random.default_rng(2).normal(0, 0.3, weight.shape) for weight in model.get_weights()]
    )
    return model


def test_steps_with_caches_give_the_logits_of_the_whole_sequence(model: Transformer) -> None:
    source = np.array([[5, 6, 3, 0], [7, 8, 9, 3]], np.int32)
    # Two hypotheses of each sentence; after the second step they change places in the first sentence.
    target = np.array([[[2, 5, 6], [2, 9, 4]], [[2, 9, 8], [2, 7, 5]]], np.int32)
    decoder = Decoder(model)
    memory, room = decoder.encode(tf.constant(source)), 3
    caches = decoder.empty_caches(2, 2, room)
    past = np.full((2, 2, room, 2), MASKED, np.float32)
    places = np.array([[0, 1], [0, 1]])
    for position in range(3):
        for sentence, row in np.ndindex(2, 2):
            past[sentence, row, position, row] = 0
        ids = np.take_along_axis(target[:, :, position], places, axis=1)
        mask = tf.constant(past.reshape(2, 1, 2, -1))
        logits, caches = decoder.step(tf.constant(ids), position, caches, room, mask, memory)
        for sentence, row in np.ndindex(2, 2):
            prefix = target[sentence, places[sentence, row], : position + 1]
            whole = model((source[sentence : sentence + 1], prefix[None])).numpy()[0, -1]
            np.testing.assert_allclose(logits[2 * sentence + row, :20], whole, atol=1e-4)
        if position == 1:
            places[0], past[0] = places[0][::-1], past[0][::-1].copy()


@settings(max_examples=20, deadline=None)
@given(size=st.integers(9, 7 * BLOCK), number=st.integers(1, 8), seed=st.integers(0, 99))
def test_the_best_pieces_are_found_by_blocks(size: int, number: int, seed: int) -> None:
    kernel = np.random.default_rng(seed).normal(size=(4, size)).astype(np.float32)
    rows = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    output = Output(kernel)
    logits = output.logits(rows)
    expected = tf.math.top_k(rows @ kernel, number)
    values, pieces = output.top(logits, number)
    np.testing.assert_allclose(values, expected.values, atol=1e-5)
    np.testing.assert_array_equal(pieces, expected.indices)
    np.testing.assert_allclose(
        output.log_total(logits), tf.reduce_logsumexp(rows @ kernel, axis=1, keepdims=True), rtol=1e-4
    )
