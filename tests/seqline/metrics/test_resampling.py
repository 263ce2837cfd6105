"""Intervals and sacreBLEU's own p-values equal its output; our p-values are right under ties."""

import random
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from seqline.metrics import resampling
from seqline.metrics.batch import Batch
from seqline.metrics.counters import Mean
from seqline.metrics.draws import smallest_p_value
from seqline.metrics.metrics import METRICS
from seqline.metrics.resampling import bootstrap, compare, interval

NAMES = ("bleu", "chrf", "ter")
MEAN = Mean("mean", lambda batch: [])


def spoiled(texts: list[str], seed: int, often: float) -> list[str]:
    chooser = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    return [
        " ".join(chooser.choice(words) if chooser.random() < often else word for word in text.split()) for text in texts
    ]


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """References, and the outputs of two systems."""
    chooser = random.Random(3)
    words = [
        "Ein",
        "Hund",
        "läuft",
        "schnell",
        "über",
        "die",
        "grüne",
        "Wiese",
        "und",
        "zwei",
        "Kinder",
        "sehen",
        "ihm",
        "lange",
        "nach",
        ".",
    ]
    references = [" ".join(chooser.choices(words, k=chooser.randint(4, 14))) for _ in range(100)]
    return {"r": references, "a": spoiled(references, 1, 0.3), "b": spoiled(references, 2, 0.25)}


def statistics(texts: dict[str, list[str]], name: str) -> list[np.ndarray]:
    batch = Batch(texts["r"], texts["r"], texts[name])
    return [METRICS[metric].counts("de").count(batch) for metric in NAMES]


def sacrebleu(texts: dict[str, list[str]]) -> dict[str, Any]:
    references = [texts["r"]]
    return {
        "bleu": BLEU(references=references),
        "chrf": CHRF(word_order=2, references=references),
        "ter": TER(references=references),
    }


def test_intervals_equal_sacrebleus(texts: dict[str, list[str]]) -> None:
    for (metric, theirs), drawn in zip(sacrebleu(texts).items(), bootstrap(statistics(texts, "a")), strict=True):
        printed = theirs.corpus_score(texts["a"], None, n_bootstrap=1000).format(width=3)
        scores = METRICS[metric].counts("de").score(drawn)
        low, high = interval(scores)
        assert f"(μ = {scores.mean():.3f} ± {(high - low) / 2:.3f})" in printed


@pytest.mark.parametrize(("kind", "field"), [("bs", "sacrebleu_bootstrap"), ("ar", "sacrebleu_randomization")])
def test_paired_tests_equal_sacrebleus(texts: dict[str, list[str]], kind: str, field: str) -> None:
    systems = [("a", texts["a"]), ("b", texts["b"])]
    _, theirs = PairedTest(systems, sacrebleu(texts), references=None, test_type=kind)()
    counters = [METRICS[metric].counts("de") for metric in NAMES]
    found = compare(counters, statistics(texts, "a"), statistics(texts, "b"))
    printed = [results[1].p_value for name, results in theirs.items() if name != "System"]
    assert [getattr(one, field) for one in found] == pytest.approx(printed, abs=1e-12)
    assert len(printed) == 3
    assert len(set(printed)) > 1


def test_the_interval_holds_95_percent_of_the_resamples() -> None:
    for count, ends in ((1000, (25, 974)), (40, (1, 38)), (39, (0, 38)), (1, (0, 0))):
        scores = np.random.default_rng(0).permutation(count).astype(float)
        assert interval(scores) == ends


class Draws:
    """A generator that records the sizes of its draws."""

    def __init__(self, seed: int, sizes: list[tuple[int, int]]) -> None:
        self.generator, self.sizes = GENERATOR(seed), sizes

    def integers(self, *args: Any, **kwargs: Any) -> Any:
        drawn = self.generator.integers(*args, **kwargs)
        self.sizes.append(drawn.shape)
        return drawn


GENERATOR = np.random.default_rng


@pytest.mark.parametrize("block", [1, 3300, 5000, 6400, 10_000])
def test_draws_depend_on_no_block_size_and_fit_into_one(
    texts: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    # numpy discards the rest of 32 booleans after each call: a block of another size would change the draws.
    before, after = statistics(texts, "a"), statistics(texts, "b")
    counters = [METRICS[metric].counts("de") for metric in NAMES]
    whole = compare(counters, before, after, resamples=100, trials=150)
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(resampling, "BLOCK", block)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Draws(seed, sizes))
    assert compare(counters, before, after, resamples=100, trials=150) == whole
    assert {sentences for _, sentences in sizes} == {100}
    assert sum(rows for rows, _ in sizes) == 100 + 100 + 150
    largest = max(rows for rows, _ in sizes)
    assert largest == max(32, block // 100 // 32 * 32)


def test_equal_systems_do_not_differ(texts: dict[str, list[str]]) -> None:
    same = statistics(texts, "a")
    (found,) = compare([METRICS["bleu"].counts("de")], same[:1], same[:1], resamples=50, trials=50)
    assert (found.difference, found.low, found.high, found.p_bootstrap, found.p_randomization) == (0, 0, 0, 1, 1)


def means(*values: list[float]) -> list[np.ndarray]:
    """The counts of a mean, of each system."""
    return [np.column_stack([np.array(one, float), np.ones(len(one))]) for one in values]


def test_one_better_sentence_of_200_is_not_significant() -> None:
    before, after = means([50.0] * 200, [50.0] * 199 + [80.0])
    (found,) = compare([MEAN], [before], [after])
    assert found.p_randomization == 1
    assert found.p_bootstrap == 1
    assert found.sacrebleu_randomization is not None
    assert found.sacrebleu_randomization < 0.001  # its strict comparison takes equal differences for smaller ones


@pytest.mark.parametrize("better", [1, 2, 3, 5])
def test_the_p_value_of_few_better_sentences_is_that_of_the_sign_test(better: int) -> None:
    # Every exchange of the sentences that differ has the same probability; the two extreme ones are as large.
    before, after = means([0.0] * 100, [1.0] * better + [0.0] * (100 - better))
    (found,) = compare([MEAN], [before], [after])
    assert found.p_randomization == pytest.approx(2 * 0.5**better, abs=0.015)
    assert found.p_bootstrap >= found.p_randomization


def test_equal_differences_count_although_their_floats_differ() -> None:
    # Sums in another order differ in the last digit.
    for seed in range(20):
        scores = 100 * np.random.default_rng(seed).random(50)
        before, after = means([*scores], [*scores[:-1], scores[-1] + 7.7])
        (found,) = compare([MEAN], [before], [after], resamples=50, trials=50)
        assert found.p_randomization == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_difference_that_is_not_a_number_is_never_significant(broken: float) -> None:
    before, after = means([1.0, 2.0, 3.0], [1.0, 2.0, broken])
    with np.errstate(invalid="ignore"):
        (found,) = compare([MEAN], [before], [after], resamples=50, trials=50)
    assert (found.p_bootstrap, found.p_randomization) == (1, 1)


def test_resamples_that_are_not_a_number_count_as_larger() -> None:
    sizes = np.array([0.1, np.nan, np.nan, 5.0])
    assert resampling._p_value(sizes, 1.0) == 4 / 5


def test_one_sentence_shows_nothing() -> None:
    (found,) = compare([MEAN], *[[one] for one in means([1.0], [2.0])], resamples=50, trials=50)
    assert (found.p_bootstrap, found.p_randomization) == (1, 1)


def test_a_clear_difference_is_significant(texts: dict[str, list[str]]) -> None:
    before, best = statistics(texts, "a"), statistics(texts, "r")
    (found,) = compare([METRICS["bleu"].counts("de")], before[:1], best[:1], resamples=200, trials=200)
    assert found.low > 0
    assert max(found.p_bootstrap, found.p_randomization) < 0.05


def test_the_smallest_p_value_is_that_of_a_difference_in_every_sentence() -> None:
    before, after = means([0.0] * 400, [1.0] * 400)
    (found,) = compare([MEAN], [before], [after])
    assert (found.p_bootstrap, found.p_randomization) == (
        smallest_p_value("bootstrap"),
        smallest_p_value("randomization"),
    )


def test_resamples_are_centred_and_as_wide_as_the_unbiased_variance() -> None:
    sizes = resampling._centred(np.array([3.0, 5.0]), 4.0, 2)
    np.testing.assert_allclose(sizes, np.sqrt(2.0))
