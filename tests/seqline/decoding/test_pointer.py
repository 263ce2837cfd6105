"""Decoding of a pointer-generator compared with the trained model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.decoding.decoder import GROWTH, Decoder
from seqline.decoding.layers import MASKED
from seqline.decoding.scoring import log_probabilities
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.decoding.streaming import begin, proceed
from seqline.modeling.config import TransformerConfig
from seqline.modeling.transformer import Transformer
from tests.seqline.decoding.reference import NextLogits, beam_search, model_logits, sample

# The decoder's first step attends to one position.
pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
CONFIG = TransformerConfig(
    vocabulary_size=30,
    encoder_layers=1,
    decoder_layers=2,
    hidden_dim=8,
    intermediate_dim=8,
    num_heads=2,
    max_length=32,
    pointer=True,
)
SOURCES = [[5, 6, 5, 9, 1, 3], [7, 8, 3]]
BATCH = tf.ragged.constant(SOURCES, dtype=tf.int32).to_tensor(0)
CHOICES: list[dict[str, Any]] = [
    {"norm": "layer"},
    {"norm_placement": "post", "num_kv_heads": 1, "tied_embeddings": False, "suppressed_ids": [0, 1, 2]},
]


def made(**choices: Any) -> Transformer:
    tf.keras.utils.set_random_seed(1)
    model = Transformer(CONFIG.with_values(**choices))
    chooser = np.random.default_rng(4)
    model.set_weights([weight + chooser.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module", params=CHOICES, ids=["pre", "post"])
def model(request: pytest.FixtureRequest) -> Transformer:
    return made(**request.param)


@pytest.fixture(scope="module")
def plain() -> Transformer:
    return made()


@pytest.fixture(scope="module")
def decoder(plain: Transformer) -> Decoder:
    return Decoder(plain)


@pytest.fixture(scope="module")
def logits_of(plain: Transformer) -> Callable[[list[int]], NextLogits]:
    return model_logits(plain)


def test_steps_give_the_trained_models_log_probabilities(model: Transformer) -> None:
    decoder, room = Decoder(model), 2
    target = np.array([[[2, 5], [2, 9]], [[2, 9], [2, 7]]], np.int32)
    with decoder.unpacked():
        memory, caches = decoder.encode(BATCH), decoder.empty_caches(2, 2, room)
        past = np.full((2, 2, room, 2), MASKED, np.float32)
        for position in range(room):
            past[:, [0, 1], position, [0, 1]] = 0
            ids, mask = tf.constant(target[:, :, position]), tf.constant(past.reshape(2, 1, 2, -1))
            logits, caches = decoder.step(ids, position, caches, room, mask, memory)
            for sentence, row in np.ndindex(2, 2):
                prefix = target[sentence, row, : position + 1]
                expected = model((np.array([SOURCES[sentence]], np.int32), prefix[None]))[0, -1]
                np.testing.assert_allclose(logits[2 * sentence + row, :30], expected, atol=1e-4)


def test_scores_are_the_trained_models_log_probabilities(model: Transformer) -> None:
    target = np.array([[5, 9, 11, 3], [8, 1, 3, 0]], np.int32)
    decoder = Decoder(model)
    with decoder.unpacked():
        scores, tokens = log_probabilities(decoder, BATCH, tf.constant(target))
    entered = np.insert(target, 0, 2, axis=1)[:, :-1]
    gains = np.take_along_axis(model((BATCH, entered)).numpy(), target[..., None], axis=2)[..., 0]
    np.testing.assert_allclose(scores, (gains * (target > 0)).sum(axis=1), atol=1e-4)
    assert tokens.numpy().tolist() == [4, 3]


@pytest.mark.parametrize(
    "chosen",
    [
        {"beam_size": 3, "n_best": 2},
        {"beam_size": 1, "min_output_length": GROWTH + 1, "repetition_penalty": 1.5},
        {"sampling": True, "n_best": 2, "seed": 5, "temperature": 2.0, "top_p": 0.9},
    ],
    ids=["beam", "greedy", "sampling"],
)
def test_searches_find_what_the_reference_finds(
    chosen: dict[str, Any], decoder: Decoder, logits_of: Callable[[list[int]], NextLogits]
) -> None:
    options = Search(max_output_length=GROWTH + 2, **chosen)
    with decoder.unpacked():
        found = search(decoder, BATCH, options)
    reference = sample if options.sampling else beam_search
    for row, source in enumerate(SOURCES):
        for number, (ids, score) in enumerate(reference(logits_of(source), options, 2, 3)):
            assert [token for token in found.ids[row, number].numpy().tolist() if token not in (0, 3)] == [
                token for token in ids if token not in (0, 3)
            ]
            assert float(found.scores[row, number]) == pytest.approx(score, abs=1e-3)


def test_a_stream_in_pieces_is_greedy_search_and_emits_nothing_without_text() -> None:
    decoder = Decoder(made(suppressed_ids=[0, 1, 2]))
    options = Search(beam_size=1, max_output_length=6, length_penalty=0.0)
    with decoder.unpacked():
        found = search(decoder, BATCH, options)
        stream = begin(decoder, BATCH, 6)
        for pieces in (1, 2, 3):
            stream = proceed(decoder, stream, pieces, 6, options)
    length = stream.ids.shape[1] - 1
    outputs = np.where(found.ids[:, 0, :length] == 0, 3, found.ids[:, 0, :length])
    np.testing.assert_array_equal(stream.ids[:, 1:], outputs)
    np.testing.assert_allclose(stream.log_probability, found.scores[:, 0], atol=1e-4)
    assert not np.isin(outputs, [0, 1, 2]).any()


def test_no_sentences_have_no_outputs(decoder: Decoder) -> None:
    with decoder.unpacked():
        found = search(decoder, tf.zeros((0, 4), tf.int32), Search(max_output_length=3))
    assert found.ids.shape == (0, 1, 3)


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_smaller_weights_give_nearly_the_same_scores(weights: str, plain: Transformer, decoder: Decoder) -> None:
    found = []
    for one in (decoder, Decoder(plain, weights)):
        with one.unpacked():
            found.append(log_probabilities(one, BATCH, tf.constant([[5, 6, 3], [8, 9, 3]]))[0])
    np.testing.assert_allclose(*found, atol=0.3)
    assert np.abs(found[0] - found[1]).max() > 0
