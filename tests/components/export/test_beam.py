"""Beam search with caches against the same search written as a plain loop without them."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.export.beam import beam_search
from components.export.decoder import Decoder
from components.export.exported import Decoding
from components.train.model import Transformer, TransformerConfig

CONFIG = TransformerConfig(vocabulary_size=12, encoder_layers=1, decoder_layers=2, width=8, feed_forward=8, heads=2)


@pytest.fixture(scope="module")
def model() -> Transformer:
    tf.keras.utils.set_random_seed(3)
    model = Transformer(CONFIG)
    # Far-apart logits: otherwise rounding decides between hypotheses.
    model.embedding.assign(model.embedding * 12)
    return model


def textbook(model: Transformer, source: list[int], decoding: Decoding) -> tuple[list[int], float]:
    """Decodes one sentence: every step runs the whole model on every hypothesis."""

    def normalized(score: float, length: int) -> float:
        return score / length**decoding.length_penalty

    live: list[tuple[list[int], float]] = [([CONFIG.bos_id], 0.0)]
    best: tuple[list[int], float] = ([], -math.inf)
    for length in range(1, decoding.max_output_length + 1):
        extended = []
        for ids, score in live:
            logits = model((np.array([source], np.int32), np.array([ids], np.int32)))[0, -1]
            steps = tf.nn.log_softmax(logits).numpy()
            extended += [([*ids, piece], score + float(steps[piece])) for piece in range(CONFIG.vocabulary_size)]
        extended.sort(key=lambda hypothesis: -hypothesis[1])
        extended = extended[: 2 * decoding.beam_size if decoding.beam_size > 1 else 1]
        for ids, score in extended:
            if ids[-1] == CONFIG.eos_id and normalized(score, length) > best[1]:
                best = (ids[1:-1], normalized(score, length))
        live = [hypothesis for hypothesis in extended if hypothesis[0][-1] != CONFIG.eos_id][: decoding.beam_size]
        if not live or best[1] >= normalized(live[0][1], length if decoding.early_stop else decoding.max_output_length):
            break
    if best[1] == -math.inf:
        best = (live[0][0][1:], normalized(live[0][1], decoding.max_output_length))
    return best


@settings(max_examples=12, deadline=None)
@given(
    sources=st.lists(st.lists(st.integers(4, 11), min_size=1, max_size=4), min_size=1, max_size=3),
    beam=st.sampled_from([1, 2, 4]),
    penalty=st.sampled_from([0.0, 0.6, 1.0]),
    early_stop=st.booleans(),
)
def test_the_search_finds_what_the_textbook_loop_finds(
    model: Transformer, sources: list[list[int]], beam: int, penalty: float, early_stop: bool
) -> None:
    decoding = Decoding(beam, penalty, max_output_length=6, early_stop=early_stop)
    padded = np.zeros((len(sources), max(map(len, sources)) + 1), np.int32)
    for row, source in enumerate(sources):
        padded[row, : len(source) + 1] = [*source, CONFIG.eos_id]
    found = beam_search(Decoder(model), tf.constant(padded), decoding)
    for row, source in enumerate(sources):
        ids, score = textbook(model, [*source, CONFIG.eos_id], decoding)
        given_ids = [int(piece) for piece in found.ids[row, 0] if piece not in (CONFIG.pad_id, CONFIG.eos_id)]
        expected = [piece for piece in ids if piece not in (CONFIG.pad_id, CONFIG.eos_id)]
        assert given_ids == expected
        assert float(found.scores[row, 0]) == pytest.approx(score, abs=1e-3)


def test_no_sentence_is_no_work(model: Transformer) -> None:
    found = beam_search(Decoder(model), tf.zeros((0, 3), tf.int32), Decoding(2, max_output_length=5))
    assert found.ids.shape == (0, 1, 5)
