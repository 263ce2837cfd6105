"""Uncertainty as sacreBLEU computes it: the same draws from the same seed, for sums in the place of texts.

A resample is a row of weights, how often each sentence was drawn, and its sums are one matrix product; so all metrics
share the draws, and memory is that of a block of rows.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqline.artifacts.evaluation import Comparison
from seqline.metrics.counters import Counter

SEED = 12345  # sacreBLEU's
RESAMPLES, TRIALS = 1000, 10_000  # sacreBLEU's defaults of bootstrap and approximate randomization
BLOCK = 4_000_000  # weights at a time
SIGNATURE = f"bootstrap|n:{RESAMPLES}|seed:{SEED}|95%"


def interval(scores: np.ndarray) -> tuple[float, float]:
    """The 95% interval of resampled scores, by percentiles.

    Args:
        scores: One a resample.
    """
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return float(ordered[cut]), float(ordered[len(ordered) - cut - 1])


def bootstrap(statistics: Sequence[np.ndarray], resamples: int = RESAMPLES, seed: int = SEED) -> list[np.ndarray]:
    """Draws as many sentences as there are, with replacement, again and again.

    Args:
        statistics: Numbers of shape (sentences, columns), for each metric.
        resamples: How often.
        seed: Of the draws.

    Returns:
        The drawn sentences' sums, of shape (resamples, columns), for each metric.
    """
    sentences = len(statistics[0])
    random = np.random.default_rng(seed)

    def weights(rows: int) -> np.ndarray:
        drawn = random.integers(0, sentences, (rows, sentences))
        return np.stack([np.bincount(row, minlength=sentences) for row in drawn])

    return _sums(statistics, resamples, weights)


def compare(
    counters: Sequence[Counter],
    baseline: Sequence[np.ndarray],
    system: Sequence[np.ndarray],
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
    seed: int = SEED,
) -> list[Comparison]:
    """Compares two systems on the same sentences, metric by metric.

    Args:
        counters: The metrics.
        baseline: The baseline's numbers of shape (sentences, columns), for each metric.
        system: The other system's.
        resamples: Of the paired bootstrap.
        trials: Of the approximate randomization.
        seed: Of the draws of either.

    Returns:
        What was found, for each metric.
    """
    drawn = zip(bootstrap(baseline, resamples, seed), bootstrap(system, resamples, seed), strict=True)
    shuffled = _randomize(baseline, system, trials, seed)
    found = []
    for counter, before, after, (lost, won), (first, second) in zip(
        counters, baseline, system, drawn, shuffled, strict=True
    ):
        difference = float(_score(counter, after) - _score(counter, before))
        differences = counter.score(won) - counter.score(lost)
        sizes = np.abs(differences)
        found.append(
            Comparison(
                difference,
                *interval(differences),
                p_bootstrap=_p_value(sizes - sizes.mean(), difference),
                p_randomization=_p_value(np.abs(counter.score(first) - counter.score(second)), difference),
            )
        )
    return found


def _randomize(
    baseline: Sequence[np.ndarray], system: Sequence[np.ndarray], trials: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sums of two systems that swap each sentence or not, by the toss of a coin."""
    random = np.random.default_rng(seed)
    sentences = len(baseline[0])
    swaps = [np.asarray(before, np.float64) - after for before, after in zip(baseline, system, strict=True)]
    mixed = _sums(swaps, trials, lambda rows: random.integers(2, size=(rows, sentences), dtype=bool))
    for before, after, swapped in zip(baseline, system, mixed, strict=True):
        ours, theirs = (np.asarray(one, np.float64).sum(axis=0) for one in (after, before))
        yield ours + swapped, theirs - swapped


def _sums(statistics: Sequence[np.ndarray], rows: int, weights: Callable[[int], np.ndarray]) -> list[np.ndarray]:
    sums = [np.empty((rows, one.shape[1])) for one in statistics]
    # In steps of 32 rows: numpy takes 32 coins from one draw, and throws away what a call leaves over.
    block = max(32, BLOCK // len(statistics[0]) // 32 * 32)
    for start in range(0, rows, block):
        drawn = weights(min(block, rows - start)).astype(np.float64)
        for total, one in zip(sums, statistics, strict=True):
            total[start : start + len(drawn)] = drawn @ np.asarray(one, np.float64)
    return sums


def _score(counter: Counter, statistics: np.ndarray) -> float:
    return float(counter.score(np.asarray(statistics, np.float64).sum(axis=0, keepdims=True))[0])


def _p_value(sizes: np.ndarray, difference: float) -> float:
    """sacreBLEU's, but for equal figures: it takes them for significantly different."""
    if not difference:
        return 1.0
    return (int(np.sum(sizes > abs(difference))) + 1) / (len(sizes) + 1)
