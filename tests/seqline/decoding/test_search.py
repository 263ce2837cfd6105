"""Search and sampling with caches compared with the reference, which has none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.decoding.decoder import GROWTH, Decoder, Memory
from seqline.decoding.live import Found
from seqline.decoding.output import BLOCK, SAFE, Output
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel
from tests.examples import examples
from tests.seqline.decoding.reference import NextLogits, beam_search, distribution, model_logits, sample

CONFIG = TransformerConfig(
    vocabulary_size=40, encoder_layers=1, decoder_layers=1, hidden_dim=8, intermediate_dim=8, num_heads=2, max_length=32
)
LONGEST = 7
LogitsOf = Callable[[list[int]], NextLogits]
Searches = dict[bool, tf.types.experimental.GenericFunction]
TYPES = {float: tf.float32, bool: tf.bool, int: tf.int32}
FIELDS = {name: TYPES[type(value)] for name, value in Search()._asdict().items() if name != "early_stop"}


@pytest.fixture(scope="module", params=["transformer", "gpt"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    tf.keras.utils.set_random_seed(3)
    layers = CONFIG.encoder_layers if request.param == "transformer" else 0
    model = make_model(CONFIG.with_values(architecture=request.param, encoder_layers=layers))
    # Outputs must depend on every weight, or a wrong cache would go unseen.
    chooser = np.random.default_rng(3)
    model.set_weights([weight + chooser.normal(0, 0.7, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def searches(model: LanguageModel) -> dict[bool, tf.types.experimental.GenericFunction]:
    """The search as a graph whose options are inputs, by `early_stop`: traced once, as exported."""
    decoder = Decoder(model)

    def run(source: tf.Tensor, options: Search) -> Found:
        with decoder.unpacked():
            return search(decoder, source, options)

    specs = [tf.TensorSpec((None, None), tf.int32), {name: tf.TensorSpec((), kind) for name, kind in FIELDS.items()}]

    def made(early_stop: bool) -> tf.types.experimental.GenericFunction:
        return tf.function(
            lambda source, options: run(source, Search(**options, early_stop=early_stop)),
            input_signature=specs,
            autograph=False,
        )

    return {early_stop: made(early_stop) for early_stop in (True, False)}


@pytest.fixture(scope="module")
def greedy(model: LanguageModel) -> tf.types.experimental.GenericFunction:
    """Greedy search as a graph whose other options are inputs."""
    decoder, fixed = Decoder(model), {"beam_size": 1, "n_best": 1, "sampling": False}

    def run(source: tf.Tensor, options: dict[str, tf.Tensor]) -> Found:
        with decoder.unpacked():
            return search(decoder, source, Search(**fixed, **options))

    inputs = {name: tf.TensorSpec((), kind) for name, kind in FIELDS.items() if name not in fixed}
    return tf.function(run, input_signature=[tf.TensorSpec((None, None), tf.int32), inputs], autograph=False)


@pytest.fixture(scope="module")
def logits_of(model: LanguageModel) -> LogitsOf:
    return model_logits(model)


def batch(sources: list[list[int]]) -> np.ndarray:
    padded = np.zeros((len(sources), max(map(len, sources)) + 1), np.int32)
    for row, source in enumerate(sources):
        padded[row, : len(source) + 1] = [*source, CONFIG.eos_id]
    return padded


def run(searches: Searches, sources: np.ndarray, options: Search) -> Found:
    values = {name: tf.constant(getattr(options, name), kind) for name, kind in FIELDS.items()}
    return searches[options.early_stop](tf.constant(sources), values)


def results(found: Found, row: int) -> list[list[int]]:
    return [without_special(ids.numpy().tolist()) for ids in found.ids[row]]


def without_special(ids: list[int]) -> list[int]:
    return [token for token in ids if token not in (CONFIG.pad_id, CONFIG.eos_id)]


constraints = {
    "min_output_length": st.sampled_from([0, 0, 3]),
    "max_output_length": st.integers(1, LONGEST),
    "length_penalty": st.sampled_from([0.0, 0.6, 1.0]),
    "repetition_penalty": st.sampled_from([1.0, 0.7, 1.5]),
    "no_repeat_ngram_size": st.integers(0, 3),
    "early_stop": st.booleans(),
}
searching = {**constraints, "beam_size": st.integers(1, 4), "n_best": st.integers(1, 4)}
sampling = {
    **constraints,
    "sampling": st.just(True),
    "n_best": st.integers(1, 3),
    "temperature": st.sampled_from([0.5, 1.0, 3.0]),
    "top_k": st.sampled_from([0, 1, 5]),
    "top_p": st.sampled_from([1.0, 0.9, 0.3]),
    "seed": st.integers(0, 2**31 - 1),
}
search_options = st.one_of(st.fixed_dictionaries(searching), st.fixed_dictionaries(sampling)).map(
    lambda values: Search(**values)
)


def check(found: Found, sources: list[list[int]], options: Search, logits_of: LogitsOf) -> None:
    """Compares results with the reference's."""
    reference = sample if options.sampling else beam_search
    for row, source in enumerate(sources):
        expected = reference(logits_of([*source, CONFIG.eos_id]), options, CONFIG.bos_id, CONFIG.eos_id)
        assert results(found, row)[: len(expected)] == [without_special(list(ids)) for ids, _ in expected]
        np.testing.assert_allclose(found.scores[row, : len(expected)], [score for _, score in expected], atol=2e-3)
        # Constraints can leave fewer results.
        assert (found.scores[row, len(expected) :] < -1e8).numpy().all()


@examples(8)
@given(
    sources=st.lists(st.lists(st.integers(4, 39), min_size=1, max_size=4), min_size=1, max_size=3),
    options=search_options,
)
def test_the_search_finds_what_the_reference_finds(
    logits_of: LogitsOf, searches: Searches, sources: list[list[int]], options: Search
) -> None:
    check(run(searches, batch(sources), options), sources, options, logits_of)


@examples(8)
@given(
    sources=st.lists(st.lists(st.integers(4, 39), min_size=1, max_size=4), min_size=1, max_size=12),
    options=st.fixed_dictionaries({**constraints, "max_output_length": st.integers(1, GROWTH + 4)}),
)
def test_greedy_search_finds_what_the_reference_finds(
    logits_of: LogitsOf,
    greedy: tf.types.experimental.GenericFunction,
    sources: list[list[int]],
    options: dict[str, Any],
) -> None:
    chosen = Search(beam_size=1, **options)
    inputs = {name: kind for name, kind in FIELDS.items() if name not in ("beam_size", "n_best", "sampling")}
    values = {name: tf.constant(getattr(chosen, name), kind) for name, kind in inputs.items()}
    found = greedy(tf.constant(batch(sources)), values)
    check(found, sources, chosen, logits_of)
    # After its end, an output is padded.
    ended = np.cumsum(found.ids[:, 0] == CONFIG.eos_id, axis=1) > 0
    assert (found.ids[:, 0].numpy()[:, 1:][ended[:, :-1]] == CONFIG.pad_id).all()


@pytest.mark.parametrize("chosen", [{"beam_size": 1}, {"beam_size": 3, "n_best": 2}, {"sampling": True, "n_best": 2}])
def test_outputs_longer_than_the_first_caches_are_those_of_the_reference(
    logits_of: LogitsOf, searches: Searches, chosen: dict[str, Any]
) -> None:
    sources = [[5, 6, 7], [8]]
    options = Search(min_output_length=2 * GROWTH + 1, max_output_length=2 * GROWTH + 3, **chosen)
    found = run(searches, batch(sources), options)
    check(found, sources, options, logits_of)
    assert not (found.ids[:, :, : 2 * GROWTH] == CONFIG.eos_id).numpy().any()


@pytest.mark.parametrize("chosen", [{"beam_size": 1}, {"beam_size": 3, "n_best": 2}, {"sampling": True, "seed": 7}])
def test_options_built_into_the_graph_equal_options_as_inputs(
    model: LanguageModel, searches: Searches, chosen: dict[str, Any]
) -> None:
    # One hypothesis: a gpt's caches begin with its source.
    sources = batch([[5, 6, 7], [8]])
    options = Search(min_output_length=2 * GROWTH + 1, max_output_length=2 * GROWTH + 3, **chosen)
    decoder = Decoder(model)
    with decoder.unpacked():
        built = search(decoder, tf.constant(sources), options)
    as_inputs = run(searches, sources, options)
    np.testing.assert_array_equal(built.ids, as_inputs.ids)
    np.testing.assert_allclose(built.scores, as_inputs.scores, atol=1e-4)


class Scripted:
    """A decoder with fixed outputs, for sources that start with 5 and for others."""

    config, kv_heads, size, group, can_join = CONFIG, 1, 1, 1, False
    output = Output(np.zeros((1, BLOCK), np.float32), np.zeros(BLOCK, np.float32), reach=SAFE)

    def encode(self, source: Any) -> Memory:
        first = tf.cast(source[:, 0], tf.float32)[None, :, None, None, None]
        return Memory(tf.tile(first, (2, 1, 1, 1, 1)), tf.zeros((tf.shape(source)[0], 1, 1, 1)))

    def empty_caches(self, sentences: Any, hypotheses: Any, positions: Any) -> Any:
        return (tf.zeros((2 * sentences, positions, hypotheses, 1)),)

    def move_caches(self, caches: Any, remaining: Any, growth: Any) -> Any:
        return self.empty_caches(tf.size(remaining), tf.shape(caches[0])[2], tf.shape(caches[0])[1] + growth)

    def step(self, ids: Any, position: Any, caches: Any, room: Any, mask: Any, memory: Memory, before: Any) -> Any:
        """Probability 0.5 each for eos and 7 7, which is better by length; for other sources 8 8 8 8 8 8."""
        half = np.full(BLOCK, -60.0, np.float32)
        half[[CONFIG.eos_id, 7]] = np.log(0.5)
        sevens = tf.where(position == 0, half, tf.one_hot(tf.where(position < 2, 7, CONFIG.eos_id), BLOCK, 0.0, -60.0))
        eights = tf.one_hot(tf.where(position < 6, 8, CONFIG.eos_id), BLOCK, 0.0, -60.0)
        logits = tf.where(memory.cross[0][:, :, 0, 0] == 5, sevens, eights)
        return tf.repeat(logits, tf.shape(ids)[1], axis=0), caches


def test_results_do_not_depend_on_how_long_other_sentences_take() -> None:
    # The first one is done after the first step, and stays until enough others are.
    sources = batch([[5], *([[6]] * 12)])
    options = Search(beam_size=2, length_penalty=1.0, max_output_length=9)
    together, alone = (search(Scripted(), tf.constant(rows), options) for rows in (sources, sources[:1]))
    assert results(together, 1) == [[8] * 6]
    assert results(together, 0) == results(alone, 0) == [[]]
    np.testing.assert_allclose(together.scores[0], alone.scores[0])


def test_an_empty_batch_has_no_results(searches: Searches) -> None:
    found = run(searches, np.zeros((0, 3), np.int32), Search(beam_size=2, max_output_length=5))
    assert found.ids.shape == (0, 1, 5)


def test_a_sample_does_not_depend_on_its_batch(searches: Searches) -> None:
    options = Search(sampling=True, n_best=2, seed=5, max_output_length=LONGEST)
    together = run(searches, batch([[9, 9, 5], [5, 6]]), options)
    alone = run(searches, batch([[5, 6]]), options)
    assert results(together, 1) == results(alone, 0)


@pytest.mark.parametrize("limits", [{}, {"top_k": 3}, {"top_p": 0.6}])
def test_samples_have_the_distribution_of_the_logits(
    logits_of: LogitsOf, searches: Searches, limits: dict[str, Any]
) -> None:
    options = Search(sampling=True, temperature=3.0, n_best=400, max_output_length=1, seed=11, **limits)
    found = run(searches, batch([[9, 9, 5]]), options)
    counts = np.bincount(found.ids.numpy().ravel(), minlength=CONFIG.vocabulary_size)
    (logits,) = logits_of([9, 9, 5, CONFIG.eos_id])(np.array([[CONFIG.bos_id]], np.int32))
    expected = options.n_best * distribution(logits, options)
    assert not counts[expected == 0].any()
    # Five standard deviations of a Poisson count, and a little for rare tokens.
    np.testing.assert_array_less(np.abs(counts - expected), 5 * np.sqrt(expected) + 3)
    assert np.count_nonzero(counts) > 1


def test_other_seeds_give_other_samples(searches: Searches) -> None:
    sources = batch([[9, 9, 5]])
    found = {
        str(results(run(searches, sources, Search(sampling=True, temperature=3.0, seed=seed, max_output_length=6)), 0))
        for seed in range(5)
    }
    assert len(found) > 1
