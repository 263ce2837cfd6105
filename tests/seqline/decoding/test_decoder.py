"""The decoder of serving compared with the trained model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.decoding.decoder import Decoder
from seqline.decoding.layers import MASKED, Normalization
from seqline.decoding.output import BLOCK, Output
from seqline.decoding.token_choice import FORBIDDEN
from seqline.decoding.weights import Weight
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel
from tests.examples import examples
from tests.seqline.decoding.reference import NextLogits, model_logits

CONFIG = TransformerConfig(
    vocabulary_size=20, encoder_layers=2, decoder_layers=2, hidden_dim=8, intermediate_dim=16, num_heads=2
)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"architecture": "gpt", "encoder_layers": 0},
    # The decoder pads inner widths of whole memory pages.
    {
        "norm_placement": "post",
        "norm": "layer",
        "positions": "learned",
        "tied_embeddings": False,
        "activation": "gelu",
        "intermediate_dim": 1024,
    },
    {"norm": "layer", "positions": "rotary", "activation": "swiglu", "intermediate_dim": 512},
    {"architecture": "gpt", "encoder_layers": 0, "norm": "layer", "positions": "rotary", "activation": "silu"},
    {"architecture": "gpt", "encoder_layers": 0, "norm_placement": "post", "positions": "learned"},
]
SOURCES = [[5, 6, 3], [7, 8, 9, 3]]


@pytest.fixture(scope="module", params=OPTIONS, ids=str)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    tf.keras.utils.set_random_seed(1)
    model = make_model(CONFIG.with_values(**request.param))
    # Weights of zero or one would hide that they are unused.
    model.set_weights(
        [weight + np.random.default_rng(2).normal(0, 0.3, weight.shape) for weight in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def logits_of(model: LanguageModel) -> Callable[[list[int]], NextLogits]:
    return model_logits(model)


def test_steps_with_caches_give_the_logits_of_the_whole_sequence(
    model: LanguageModel, logits_of: Callable[[list[int]], NextLogits]
) -> None:
    # Two hypotheses of each sentence; after the second step those of the first sentence are swapped.
    target = np.array([[[2, 5, 6], [2, 9, 4]], [[2, 9, 8], [2, 7, 5]]], np.int32)
    decoder = Decoder(model)
    source = tf.ragged.constant(SOURCES, dtype=tf.int32).to_tensor(0)
    with decoder.unpacked():
        memory, room = decoder.encode(source), 3
        caches = decoder.empty_caches(2, 2, room)
        past = np.full((2, 2, room, 2), MASKED, np.float32)
        order = np.array([[0, 1], [0, 1]])
        for position in range(3):
            for sentence, row in np.ndindex(2, 2):
                past[sentence, row, position, row] = 0
            ids = np.take_along_axis(target[:, :, position], order, axis=1)
            mask = tf.constant(past.reshape(2, 1, 2, -1))
            logits, caches = decoder.step(tf.constant(ids), position, caches, room, mask, memory)
            for sentence, row in np.ndindex(2, 2):
                prefix = target[sentence, order[sentence, row], : position + 1]
                expected = logits_of(SOURCES[sentence])(prefix[None])[0]
                np.testing.assert_allclose(logits[2 * sentence + row, :20], expected, atol=2e-4)
            if position == 1:
                order[0], past[0] = order[0][::-1], past[0][::-1].copy()


def test_whole_outputs_get_the_trained_models_logits(
    model: LanguageModel, logits_of: Callable[[list[int]], NextLogits]
) -> None:
    decoder = Decoder(model)
    target = np.array([[2, 5, 6], [2, 9, 0]], np.int32)
    with decoder.unpacked():
        states = decoder.whole(
            tf.constant(target), decoder.encode(tf.ragged.constant(SOURCES, dtype=tf.int32).to_tensor(0))
        )
        logits = tf.reshape(decoder.output.logits(states), (2, 3, -1))
    for sentence, length in ((0, 3), (0, 1), (1, 2)):
        expected = logits_of(SOURCES[sentence])(target[sentence : sentence + 1, :length])[0]
        np.testing.assert_allclose(logits[sentence, length - 1, :20], expected, atol=2e-4)
        assert np.abs(expected).max() < decoder.output.bound


@pytest.mark.parametrize(("weights", "error"), [("bfloat16", 2**-8), ("int8", 0.6 / 127)])
def test_weights_in_smaller_types_are_close_to_the_trained_ones(weights: str, error: float) -> None:
    values = np.random.default_rng(5).normal(size=(30, 20)).astype(np.float32)
    for scaled in (0, 1):
        matrix = Weight(values, weights, scaled)
        matrix.unpack()
        largest = np.abs(values).max(axis=1 - scaled, keepdims=True)
        assert (np.abs(matrix.values - values) <= error * largest).all()
    rows = Weight(values, weights, scaled=0).rows(tf.constant([[3], [7]]))
    np.testing.assert_allclose(rows[:, 0], values[[3, 7]], atol=error * np.abs(values).max())


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_a_large_models_weights_stay_packed_and_give_the_same_logits(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqline.decoding.output.PART_BYTES", 400)
    tf.keras.utils.set_random_seed(1)
    model = make_model(CONFIG.with_values(positions="relative", activation="swiglu"))
    source, target = tf.ragged.constant(SOURCES, dtype=tf.int32).to_tensor(0), tf.constant([[2, 5, 6], [2, 9, 8]])
    found = []
    for limit in (1 << 20, 0):
        decoder = Decoder(model, weights, unpacked_bytes=limit)
        with decoder.unpacked():
            large = [module for module in decoder.submodules if isinstance(module, Weight) and module.size]
            unpacked = [weight for weight in large if weight.values is not None and weight is not decoder.embedding]
            assert bool(unpacked) == (limit > 0 and weights != "float32")
            found.append(decoder.output.logits(decoder.whole(target, decoder.encode(source))))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("limit", [1 << 20, 0])
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_products_in_bfloat16_are_close_to_those_in_float32(weights: str, limit: int) -> None:
    tf.keras.utils.set_random_seed(1)
    decoder = Decoder(make_model(CONFIG), weights, unpacked_bytes=limit)
    source, target = tf.ragged.constant(SOURCES, dtype=tf.int32).to_tensor(0), tf.constant([[2, 5, 6], [2, 9, 8]])

    def logits() -> Any:
        with decoder.unpacked():
            return decoder.output.logits(decoder.whole(target, decoder.encode(source)))

    def types(function: Any) -> set[tf.DType]:
        graph = tf.function(function, autograph=False).get_concrete_function().graph
        return {op.outputs[0].dtype for op in graph.get_operations() if op.type == "MatMul"}

    expected = logits()[:, :20]
    with decoder.in_bfloat16():
        found = logits()[:, :20]
        assert types(logits) == {tf.bfloat16}
    assert types(logits) == {tf.float32}
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=2**-5 * np.abs(expected).max())


def test_an_epsilon_is_kept_where_embeddings_are_not_scaled() -> None:
    # A mean square of 1e-4, as of Llama's embeddings: dropping an epsilon of 1e-5 changes a state by 5%.
    config = CONFIG.with_values(embedding_scale=False, norm_epsilon=1e-5)
    rows = np.random.default_rng(1).normal(0, 0.01, (3, 8)).astype(np.float32)
    found = Normalization(config, None).before(tf.constant(rows)) * 8**0.5
    expected = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@examples(20)
@given(size=st.integers(9, 7 * BLOCK), rows=st.integers(1, 4), number=st.integers(1, 8), seed=st.integers(0, 99))
def test_the_best_tokens_of_several_rows_are_found_by_blocks(size: int, rows: int, number: int, seed: int) -> None:
    chooser = np.random.default_rng(seed)
    kernel = chooser.normal(size=(4, size)).astype(np.float32)
    states = chooser.normal(size=(3 * rows, 4)).astype(np.float32)
    states /= np.sqrt((states**2).mean(axis=1, keepdims=True))
    offsets = chooser.normal(size=(3, rows)).astype(np.float32)
    offsets[0, 1:] = -2e9
    output = Output(kernel, np.zeros(size, np.float32), reach=2.0)
    for weight in output.submodules:
        weight.unpack()
    logits = output.logits(states)
    all_sums = (states @ kernel).reshape(3, rows, size) + offsets[:, :, None]
    expected = tf.math.top_k(all_sums.reshape(3, -1), number)
    sums, parents, tokens = output.top(logits, tf.constant(offsets), number)
    np.testing.assert_allclose(sums, expected.values, atol=1e-5)
    np.testing.assert_array_equal(parents, expected.indices // size)
    np.testing.assert_array_equal(tokens, expected.indices % size)
    np.testing.assert_allclose(
        output.log_total(logits), tf.reduce_logsumexp(states @ kernel, axis=1, keepdims=True), rtol=1e-4
    )


def test_of_several_ends_the_first_stands_for_the_likeliest() -> None:
    kernel = np.array([[0.5, 3.0, 1.0, 2.0, 0.0]], np.float32)
    output = Output(kernel, np.zeros(5, np.float32), reach=2.0, suppressed=[4], ends=[2, 1, 3])
    for weight in output.submodules:
        weight.unpack()
    allowed = output.allowed(output.logits(tf.constant([[1.0], [-1.0]]))).numpy()
    np.testing.assert_allclose(allowed[:, [0, 2]], [[0.5, 3.0], [-0.5, -1.0]])
    assert (allowed[:, [1, 3, 4]] < -1e9).all()


@pytest.mark.parametrize("allowed", range(4))
def test_padding_of_the_last_block_is_never_found(allowed: int) -> None:
    output = Output(np.ones((4, 5), np.float32), np.zeros(5, np.float32), reach=2.0)
    for weight in output.submodules:
        weight.unpack()
    logits = output.logits(tf.ones((4, 4))) + tf.where(tf.range(BLOCK) < allowed, 0.0, FORBIDDEN)
    _, _, tokens = output.top(logits, tf.constant([[0.0, -2e9], [-2e9, -2e9]]), 5)
    assert (tokens.numpy() < 5).all()
