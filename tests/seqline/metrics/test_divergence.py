"""The Jensen-Shannon divergence, and bets on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.statistics import distance as of_counts
from seqline.metrics.divergence import Values, distance, divergence, estimated, judged, judged_pairs, shares
from seqline.metrics.sequential import Detector, evidence_of
from seqline.metrics.surprise import surprise

SIZE = 200
CORPUS = shares(1 / np.arange(1, SIZE + 1))
SHIFTED = shares(np.roll(CORPUS, 7))
WORLDS = {"none": CORPUS, "small": shares(0.9 * CORPUS + 0.1 * SHIFTED), "large": SHIFTED}


def drawn(of: np.ndarray, count: int, seed: int) -> Values:
    draws = np.random.default_rng(seed)
    counts = draws.integers(1, 12, count)
    return Values(draws.choice(SIZE, int(counts.sum()), p=of), counts, SIZE)


@given(st.lists(st.integers(0, 50), min_size=5, max_size=5), st.lists(st.integers(0, 50), min_size=5, max_size=5))
def test_the_divergence_is_that_of_the_corpus_statistics(one: list[int], other: list[int]) -> None:
    if sum(one) and sum(other):
        found = distance(divergence(shares(np.array(one)), shares(np.array(other))))
        assert found == pytest.approx(of_counts(dict(enumerate(one)), dict(enumerate(other))), abs=1e-6)


def test_the_estimate_of_a_small_sample_is_hardly_too_high() -> None:
    values = drawn(CORPUS, 300, 1)
    assert divergence(shares(values.weights()), CORPUS) > 0.02
    assert estimated(values, CORPUS) < 0.01
    assert estimated(drawn(SHIFTED, 300, 2), CORPUS) == pytest.approx(divergence(SHIFTED, CORPUS), abs=0.03)


@pytest.mark.parametrize("name", WORLDS)
def test_the_lower_bound_is_below_the_divergence(name: str) -> None:
    of = WORLDS[name]
    bounds = [judged(drawn(of, 400, seed), CORPUS, np.zeros(SIZE), 0.0)[1].mean() for seed in range(20)]
    paired = [judged_pairs(drawn(of, 400, seed), drawn(CORPUS, 400, 99 + seed), 0.0)[1].mean() for seed in range(20)]
    for found in (bounds, paired):
        assert np.mean(found) <= divergence(of, CORPUS) + 0.002


def test_bets_win_only_beyond_the_limit_and_never_lose_all() -> None:
    limit = divergence(WORLDS["small"], CORPUS)
    for seed in range(3):
        for values, wins in ((drawn(CORPUS, 500, seed), False), (drawn(SHIFTED, 500, seed), True)):
            gains, _, _ = judged(values, CORPUS, np.zeros(SIZE), limit)
            paired, _ = judged_pairs(values, drawn(CORPUS, 500, 50 + seed), limit)
            assert min(gains.min(), paired.min()) >= -1
            assert (evidence_of(gains) > 10) == (evidence_of(paired) > 10) == wins


def test_what_earlier_windows_showed_is_known_to_the_next() -> None:
    limit = 0.02
    first, _, learned = judged(drawn(SHIFTED, 60, 1), CORPUS, np.zeros(SIZE), limit)
    anew, _, _ = judged(drawn(SHIFTED, 60, 2), CORPUS, np.zeros(SIZE), limit)
    knowing, _, _ = judged(drawn(SHIFTED, 60, 2), CORPUS, learned, limit)
    assert evidence_of(knowing) > evidence_of(anew)
    assert Detector().after(first).after(knowing).evidence > Detector().after(first).evidence


def test_every_request_weighs_the_same_whatever_its_length() -> None:
    values = Values(np.array([0, 1, 1, 1]), np.array([1, 3]), 2)
    assert values.weights().tolist() == [1.0, 1.0]
    assert values.take(np.array([1, 0])).ids.tolist() == [1, 1, 1, 0]
    assert values.means(np.array([2.0, 4.0])).tolist() == [2.0, 4.0]


def test_no_requests_are_no_evidence() -> None:
    none = Values(np.zeros(0, np.int64), np.zeros(0, np.int64), SIZE)
    gains, bounds, weights = judged(none, CORPUS, np.zeros(SIZE), 0.1)
    assert (len(gains), len(bounds), weights.sum()) == (0, 0, 0)
    assert evidence_of(judged_pairs(none, drawn(CORPUS, 5, 1), 0.1)[0]) == pytest.approx(0.0)


def test_rare_tokens_are_more_surprising() -> None:
    common, rare = (Values(np.array([one, one]), np.array([2]), SIZE) for one in (0, SIZE - 1))
    assert surprise(common, CORPUS)[0] < surprise(rare, CORPUS)[0] < 20
