"""Counts equal those of the reference libraries for all texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import _lcs_table
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.lib_ter import translation_edit_rate

from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.metrics.ngrams import common_length, overlaps
from seqline.metrics.ter import edits
from tests.examples import examples

# Few kinds of words, so that they repeat, move and match.
WORDS = st.sampled_from(["a", "b", "c", "d", "e.", "ß", "好"])
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)
PAIRS = st.lists(st.tuples(*[st.one_of(SENTENCES, st.text(max_size=20))] * 2), min_size=1, max_size=6)
MOVES = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=4)


@given(PAIRS)
def test_ngrams_equal_sacrebleus(pairs: list[tuple[str, str]]) -> None:
    outputs, references = [output for output, _ in pairs], [reference for _, reference in pairs]
    batch = Batch(references, references, outputs)
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF(word_order=2))):
        theirs = metric._extract_corpus_statistics(outputs, [references])
        assert METRICS[name].counts("de").count(batch).tolist() == theirs


@given(st.lists(WORDS, max_size=14), st.lists(WORDS, max_size=14))
def test_edits_equal_sacrebleus(output: list[str], reference: list[str]) -> None:
    assert edits(output, reference) == translation_edit_rate(output, reference)[0]


@given(st.lists(WORDS, min_size=20, max_size=40), MOVES)
@examples(30)
def test_edits_of_long_sentences_with_moved_blocks_equal_sacrebleus(
    reference: list[str], moves: list[tuple[int, int]]
) -> None:
    output = list(reference)
    for start, target in moves:
        block = output[start : start + 3]
        del output[start : start + 3]
        output[target:target] = block
    assert edits(output, reference) == translation_edit_rate(output, reference)[0]


@given(st.lists(WORDS, max_size=20), st.lists(WORDS, max_size=20))
def test_the_longest_common_subsequence_equals_rouge_scores(first: list[str], second: list[str]) -> None:
    assert common_length(first, second) == _lcs_table(first, second)[-1][-1]


def test_matches_of_an_ngram_are_clipped() -> None:
    counts = overlaps([["a", "a", "a", "b"]], [["a", "a", "b", "b"]], longest=2)
    assert counts.tolist() == [[[4, 4, 3], [3, 3, 2]]]


def test_sentences_do_not_match_their_neighbours() -> None:
    assert overlaps(["ab", "cd"], ["cd", "ab"], longest=2)[:, :, 2].sum() == 0


@pytest.mark.parametrize("texts", [[""], ["", ""], ["\ud800"]])
def test_texts_without_ngrams_are_counted(texts: list[str]) -> None:
    counts = overlaps(texts, texts, longest=3)
    assert counts.shape == (len(texts), 3, 3)
    assert np.array_equal(counts[:, :, 0], counts[:, :, 2])
