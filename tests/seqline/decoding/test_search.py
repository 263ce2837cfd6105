"""Search and sampling with caches against the same search written as a plain loop without them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.components.export.plain import Logits, plain_search, trained
from seqline.decoding.decoder import Decoder, Memory
from seqline.decoding.output import BLOCK, SAFE, Output
from seqline.decoding.search import Found, search
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel

CONFIG = TransformerConfig(
    vocabulary_size=40, encoder_layers=1, decoder_layers=1, hidden_dim=8, intermediate_dim=8, num_heads=2, max_length=16
)
LONGEST = 7
TYPES = {float: tf.float32, bool: tf.bool, int: tf.int32}
FIELDS = {name: TYPES[type(value)] for name, value in Search()._asdict().items() if name != "early_stop"}


@pytest.fixture(scope="module", params=["transformer", "gpt"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    tf.keras.utils.set_random_seed(3)
    layers = CONFIG.encoder_layers if request.param == "transformer" else 0
    model = make_model(replace(CONFIG, architecture=request.param, encoder_layers=layers))
    # Far-apart logits: otherwise rounding decides between hypotheses.
    model.embedding.assign(model.embedding * 12)
    return model


@pytest.fixture(scope="module")
def searches(model: LanguageModel) -> dict[bool, tf.types.experimental.GenericFunction]:
    """The search as a graph whose options are inputs, by `early_stop`: traced once, as exported."""
    decoder = Decoder(model)

    def run(source: tf.Tensor, how: Search) -> Found:
        with decoder.unpacked():
            return search(decoder, source, how)

    specs = [tf.TensorSpec((None, None), tf.int32), {name: tf.TensorSpec((), kind) for name, kind in FIELDS.items()}]

    def made(early_stop: bool) -> tf.types.experimental.GenericFunction:
        return tf.function(
            lambda source, how: run(source, Search(**how, early_stop=early_stop)),
            input_signature=specs,
            autograph=False,
        )

    return {early_stop: made(early_stop) for early_stop in (True, False)}


@pytest.fixture(scope="module")
def logits_of(model: LanguageModel) -> Callable[[list[int]], Logits]:
    return trained(model)


def batch(sources: list[list[int]]) -> np.ndarray:
    padded = np.zeros((len(sources), max(map(len, sources)) + 1), np.int32)
    for row, source in enumerate(sources):
        padded[row, : len(source) + 1] = [*source, CONFIG.eos_id]
    return padded


def run(searches: dict[bool, tf.types.experimental.GenericFunction], sources: np.ndarray, how: Search) -> Found:
    options = {name: tf.constant(getattr(how, name), kind) for name, kind in FIELDS.items()}
    return searches[how.early_stop](tf.constant(sources), options)


def results(found: Found, row: int) -> list[list[int]]:
    return [[int(piece) for piece in ids if piece not in (CONFIG.pad_id, CONFIG.eos_id)] for ids in found.ids[row]]


rules = {
    "min_output_length": st.sampled_from([0, 0, 3]),
    "max_output_length": st.integers(1, LONGEST),
    "length_penalty": st.sampled_from([0.0, 0.6, 1.0]),
    "repetition_penalty": st.sampled_from([1.0, 0.7, 1.5]),
    "no_repeat_ngram_size": st.integers(0, 3),
    "early_stop": st.booleans(),
}
searching = {**rules, "beam_size": st.integers(1, 4), "n_best": st.integers(1, 4)}
sampling = {
    **rules,
    "sampling": st.just(True),
    "n_best": st.integers(1, 3),
    "temperature": st.sampled_from([0.5, 1.0, 3.0]),
    "top_k": st.sampled_from([0, 1, 5]),
    "top_p": st.sampled_from([1.0, 0.9, 0.3]),
    "seed": st.integers(0, 2**31 - 1),
}
ways = st.one_of(st.fixed_dictionaries(searching), st.fixed_dictionaries(sampling)).map(
    lambda options: Search(**options)
)


@settings(max_examples=15, deadline=None)
@given(sources=st.lists(st.lists(st.integers(4, 39), min_size=1, max_size=4), min_size=1, max_size=3), how=ways)
def test_the_search_finds_what_the_plain_loop_finds(
    logits_of: Callable[[list[int]], Logits],
    searches: dict[bool, tf.types.experimental.GenericFunction],
    sources: list[list[int]],
    how: Search,
) -> None:
    found = run(searches, batch(sources), how)
    for row, source in enumerate(sources):
        expected = plain_search(logits_of([*source, CONFIG.eos_id]), how, CONFIG.bos_id, CONFIG.eos_id)
        special = (CONFIG.pad_id, CONFIG.eos_id)
        assert results(found, row)[: len(expected)] == [[p for p in ids if p not in special] for ids, _ in expected]
        np.testing.assert_allclose(found.scores[row, : len(expected)], [score for _, score in expected], atol=2e-3)
        # What the rules leave no room for is no result.
        assert (found.scores[row, len(expected) :] < -1e8).numpy().all()


def test_values_built_into_the_graph_give_what_inputs_give(
    model: LanguageModel, searches: dict[bool, tf.types.experimental.GenericFunction]
) -> None:
    sources = batch([[5, 6, 7], [8]])
    how = Search(beam_size=3, n_best=2, max_output_length=LONGEST)
    decoder = Decoder(model)
    with decoder.unpacked():
        built = search(decoder, tf.constant(sources), how)
    given_ = run(searches, sources, how)
    np.testing.assert_array_equal(built.ids, given_.ids)
    np.testing.assert_allclose(built.scores, given_.scores, atol=1e-4)


class Scripted:
    """A decoder that knows by heart what it says to sources that start with 5, and to others."""

    config, heads, size, group = CONFIG, 1, 1, 1
    output = Output(np.zeros((1, BLOCK), np.float32), np.zeros(BLOCK, np.float32), reach=SAFE)

    def encode(self, source: Any) -> Memory:
        first = tf.cast(source[:, 0], tf.float32)[None, :, None, None, None]
        return Memory(tf.tile(first, (2, 1, 1, 1, 1)), tf.zeros((tf.shape(source)[0], 1, 1, 1)))

    def empty_caches(self, sentences: Any, hypotheses: Any, positions: Any) -> Any:
        return (tf.zeros((2 * sentences, positions, hypotheses, 1)),)

    def move_caches(self, caches: Any, going: Any, growth: Any) -> Any:
        return self.empty_caches(tf.size(going), tf.shape(caches[0])[2], tf.shape(caches[0])[1] + growth)

    def step(self, ids: Any, position: Any, caches: Any, room: Any, mask: Any, memory: Memory) -> Any:
        """One half each for the end and 7 7, which is better by length; to others 8 8 8 8 8 8 for sure."""
        half = np.full(BLOCK, -60.0, np.float32)
        half[[CONFIG.eos_id, 7]] = np.log(0.5)
        sevens = tf.where(position == 0, half, tf.one_hot(tf.where(position < 2, 7, CONFIG.eos_id), BLOCK, 0.0, -60.0))
        eights = tf.one_hot(tf.where(position < 6, 8, CONFIG.eos_id), BLOCK, 0.0, -60.0)
        logits = tf.where(memory.cross[0][:, :, 0, 0] == 5, sevens, eights)
        return tf.repeat(logits, tf.shape(ids)[1], axis=0), caches


def test_what_is_found_does_not_depend_on_how_long_others_take() -> None:
    # The first one is done at the first step, and stays until enough others are.
    sources = batch([[5], *([[6]] * 12)])
    how = Search(beam_size=2, length_penalty=1.0, max_output_length=9)
    together, alone = (search(Scripted(), tf.constant(rows), how) for rows in (sources, sources[:1]))
    assert results(together, 1) == [[8] * 6]
    assert results(together, 0) == results(alone, 0) == [[]]
    np.testing.assert_allclose(together.scores[0], alone.scores[0])


def test_no_sentence_is_no_work(searches: dict[bool, tf.types.experimental.GenericFunction]) -> None:
    found = run(searches, np.zeros((0, 3), np.int32), Search(beam_size=2, max_output_length=5))
    assert found.ids.shape == (0, 1, 5)


def test_a_sample_does_not_depend_on_its_batch(searches: dict[bool, tf.types.experimental.GenericFunction]) -> None:
    how = Search(sampling=True, n_best=2, seed=5, max_output_length=LONGEST)
    together = run(searches, batch([[9, 9, 5], [5, 6]]), how)
    alone = run(searches, batch([[5, 6]]), how)
    assert results(together, 1) == results(alone, 0)


def test_seeds_give_other_samples(searches: dict[bool, tf.types.experimental.GenericFunction]) -> None:
    sources = batch([[9, 9, 5]])
    found = {
        str(results(run(searches, sources, Search(sampling=True, temperature=3.0, seed=seed, max_output_length=6)), 0))
        for seed in range(5)
    }
    assert len(found) > 1
