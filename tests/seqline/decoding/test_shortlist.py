"""Search in a shortlist compared with search in the whole vocabulary."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.decoding.decoder import Decoder
from seqline.decoding.lexicon import Lexicon
from seqline.decoding.live import Found
from seqline.decoding.output import BLOCK, MISSING
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.examples import examples

SIZE = 150
CONFIG = TransformerConfig(
    vocabulary_size=SIZE, encoder_layers=1, decoder_layers=1, hidden_dim=8, intermediate_dim=8, num_heads=2,
    max_length=32,
)  # fmt: skip
FREQUENT = np.array([CONFIG.eos_id, 10, 11, 12], np.int32)
SPECIAL = set(CONFIG.suppressed_ids)


def linked(number: int) -> np.ndarray:
    """Links each token of a source to a few others."""
    found = np.full((SIZE, number), SIZE, np.int32)
    chooser = np.random.default_rng(number)
    generated = sorted(set(range(SIZE)) - SPECIAL - set(FREQUENT.tolist()))
    for token in range(4, SIZE):
        found[token, : token % (number + 1)] = chooser.choice(generated, token % (number + 1), replace=False)
    return found


def made(lexicon: Lexicon, kind: str = "float32") -> Decoder:
    tf.keras.utils.set_random_seed(3)
    model = make_model(CONFIG)
    chooser = np.random.default_rng(3)
    model.set_weights([weight + chooser.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return Decoder(model, kind, lexicon=lexicon)


def batch(sources: list[list[int]]) -> Any:
    padded = np.zeros((len(sources), max(map(len, sources), default=0) + 1), np.int32)
    for row, source in enumerate(sources):
        padded[row, : len(source) + 1] = [*source, CONFIG.eos_id]
    return tf.constant(padded)


def graph(decoder: Decoder, listed: bool, beam: int) -> Any:
    options = Search(beam_size=beam, n_best=beam, max_output_length=7)

    def run(source: Any) -> Found:
        with decoder.unpacked():
            return search(decoder, source, options, decoder.shortlist if listed else None)

    return tf.function(run, input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)


SOURCES = st.lists(st.lists(st.integers(4, SIZE - 1), min_size=1, max_size=6), min_size=1, max_size=5)
LEXICON = Lexicon(FREQUENT, linked(3))


@pytest.fixture(scope="module", params=[1, 3])
def narrow(request: pytest.FixtureRequest) -> Any:
    return graph(made(LEXICON), True, request.param)


@examples(15)
@given(sources=SOURCES)
def test_outputs_have_only_the_tokens_of_their_own_shortlist_in_any_batch(
    narrow: Any, sources: list[list[int]]
) -> None:
    found = narrow(batch(sources))
    for row, source in enumerate(sources):
        allowed = {0, *FREQUENT.tolist(), *LEXICON.linked[source].ravel().tolist()} - {SIZE}
        assert set(found.ids[row].numpy().ravel().tolist()) <= allowed
        alone = narrow(batch([source]))
        np.testing.assert_array_equal(found.ids[row], alone.ids[0])
        np.testing.assert_allclose(found.scores[row], alone.scores[0], rtol=1e-4)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_shortlist_of_all_tokens_finds_what_the_whole_vocabulary_has(beam: int) -> None:
    everything = np.array(sorted(set(range(SIZE)) - SPECIAL), np.int32)
    decoder = made(Lexicon(everything, np.full((SIZE, 1), SIZE, np.int32)))
    sources = batch([[5, 9, 30], [77], [149, 4, 4, 8, 21]])
    listed, whole = (graph(decoder, one, beam)(sources) for one in (True, False))
    np.testing.assert_array_equal(listed.ids, whole.ids)
    # Special tokens have a probability, but are never generated: a shortlist has none of them.
    assert (listed.scores.numpy() >= whole.scores.numpy() - 1e-5).all()


def test_a_batch_without_sentences_has_no_outputs(narrow: Any) -> None:
    assert narrow(tf.zeros((0, 3), tf.int32)).ids.shape[0] == 0


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_stored_types_give_nearly_the_logits_of_float32(kind: str) -> None:
    source = batch([[5, 9, 30], [77, 6]])
    rows = tf.random.stateless_normal((4, 8), (1, 2))
    exact = made(LEXICON).shortlist
    decoder = made(LEXICON, kind)
    assert exact
    assert decoder.shortlist
    expected = exact.of(source)
    assert len(expected.ids) % BLOCK == 0
    real = expected.logits(rows).numpy() > MISSING / 2
    with decoder.in_bfloat16():
        native = decoder.shortlist.of(source)
        assert native.kernel.dtype == tf.bfloat16
    for found in (native, decoder.shortlist.of(source)):
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_allclose(found.logits(rows)[real], expected.logits(rows)[real], rtol=0.05, atol=0.1)
