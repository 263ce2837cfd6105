"""How often a gain passes between systems that are equal: at most as often as the significance says."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from seqline.artifacts.evaluation import Comparison, MetricValue
from seqline.components.bless.checks import check_rules
from seqline.components.bless.options import Options
from seqline.metrics.counters import Mean
from seqline.metrics.resampling import compare
from tests.components.bless.evaluations import evaluation
from tests.components.bless.test_checks import PairWithComparison

PAIRS = 250  # of systems, for each kind and size
SIZES = (5, 10, 20, 50, 200)
MEAN = Mean("mean", lambda batch: [])
Scores = tuple[np.ndarray, np.ndarray]


def sparse(random: np.random.Generator, size: tuple[int, int]) -> Scores:
    """Few sentences differ, each by one point."""
    scores = random.integers(0, 100, size).astype(float)
    differs = random.random(size) < max(0.03, 2 / size[1])
    return scores, scores + differs * random.choice([-1.0, 1.0], size)


def ties(random: np.random.Generator, size: tuple[int, int]) -> Scores:
    """Right or wrong, as in exact match."""
    first, second = (random.random(size) < 0.5 for _ in range(2))
    return 100.0 * first, 100.0 * np.where(random.random(size) < 0.7, first, second)


def skewed(random: np.random.Generator, size: tuple[int, int]) -> Scores:
    """Most scores are low, and a few are high."""
    first, second = random.exponential(20, (2, *size))
    return first, second


@cache
def comparisons(kind: Callable[[np.random.Generator, tuple[int, int]], Scores], sentences: int) -> list[Comparison]:
    """Compares pairs of equal systems; as metrics of one comparison they share its draws."""
    first, second = kind(np.random.default_rng(sentences), (PAIRS, sentences))
    counts = [[np.column_stack([one, np.ones(sentences)]) for one in scores] for scores in (first, second)]
    return compare([MEAN] * PAIRS, *counts, resamples=200, trials=400)


def passing(rule: dict, found: Comparison) -> bool:
    ours, theirs = evaluation(), evaluation("old")
    ours.metrics["chrf"] = MetricValue(50.0 + found.difference, True, "s")
    theirs.metrics["chrf"] = MetricValue(50.0, True, "s")
    gate = Options(gate=[{"metric": "chrf", "gain": 0, **rule}]).gate
    (result,) = check_rules(gate, PairWithComparison(ours, theirs, comparison=found))
    return result.passed


@pytest.mark.parametrize("kind", [sparse, ties, skewed])
@pytest.mark.parametrize(
    "rule",
    [
        {"significance": 0.05, "test": "randomization"},
        {"significance": 0.05, "test": "bootstrap"},
        {"confident": True},
    ],
    ids=["randomization", "bootstrap", "confident"],
)
def test_a_gain_between_equal_systems_passes_at_most_as_often_as_its_significance(
    kind: Callable[[np.random.Generator, tuple[int, int]], Scores], rule: dict
) -> None:
    for sentences in SIZES:
        passed = np.mean([passing(rule, found) for found in comparisons(kind, sentences)])
        assert passed <= 0.05, f"{passed:.1%} of {PAIRS} pairs on {sentences} sentences"


def test_sacrebleus_own_figures_would_let_more_pass() -> None:
    rates = [
        np.mean([one.difference > 0 and (one.sacrebleu_randomization or 0) < 0.05 for one in comparisons(kind, n)])
        for kind in (sparse, ties)
        for n in (10, 20)
    ]
    assert min(rates) > 0.15


@pytest.mark.parametrize("test", ["randomization", "bootstrap"])
def test_a_clear_gain_still_passes(test: str) -> None:
    random = np.random.default_rng(1)
    scores = random.uniform(0, 90, 50)
    better = [np.column_stack([one, np.ones(50)]) for one in (scores, scores + random.uniform(0, 10, 50))]
    (found,) = compare([MEAN], better[:1], better[1:], resamples=200, trials=400)
    assert passing({"significance": 0.05, "test": test}, found)
