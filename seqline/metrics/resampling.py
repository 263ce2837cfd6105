"""Confidence intervals and paired tests with sacreBLEU's draws, on sums instead of texts.

A resample is a row of weights, the number of draws of each sentence. One matrix product gives its sums: all metrics
share the draws, and memory is bounded by a block of rows.

The p-values are not sacreBLEU's. It counts only resamples with a strictly larger difference, so that a single sentence
that is better is significant, and centres the size of the differences instead of the differences. Its own values are
computed beside ours, for comparison with papers.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqline.artifacts.evaluation import Comparison
from seqline.metrics.counters import Counter
from seqline.metrics.draws import RESAMPLES, TRIALS

SEED = 12345  # sacreBLEU's
TOLERANCE = 1e-9  # of equal differences: they are sums of floats in another order
BLOCK = 4_000_000  # weights in memory at a time
SIGNATURE = f"bootstrap|n:{RESAMPLES}|seed:{SEED}|95%"


def interval(scores: np.ndarray) -> tuple[float, float]:
    """Returns the 95% percentile interval of resampled scores.

    Args:
        scores: One per resample, of shape (resamples,).
    """
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return float(ordered[cut]), float(ordered[len(ordered) - cut - 1])


def bootstrap(statistics: Sequence[np.ndarray], resamples: int = RESAMPLES, seed: int = SEED) -> list[np.ndarray]:
    """Draws bootstrap resamples.

    Args:
        statistics: Counts of shape (sentences, columns), for each metric.
        resamples: Number of resamples.
        seed: Of the draws.

    Returns:
        The sums of the drawn sentences, of shape (resamples, columns), for each metric.
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
    """Compares two systems on the same sentences.

    Args:
        counters: The metrics.
        baseline: The baseline's counts of shape (sentences, columns), for each metric.
        system: The other system's.
        resamples: Of the paired bootstrap.
        trials: Of the approximate randomization.
        seed: Of both.

    Returns:
        The comparison for each metric.
    """
    drawn = zip(bootstrap(baseline, resamples, seed), bootstrap(system, resamples, seed), strict=True)
    shuffled = _randomize(baseline, system, trials, seed)
    found = []
    for counter, before, after, (lost, won), (first, second) in zip(
        counters, baseline, system, drawn, shuffled, strict=True
    ):
        difference = float(_score(counter, after) - _score(counter, before))
        differences = counter.score(won) - counter.score(lost)
        sizes, swapped = np.abs(differences), np.abs(counter.score(first) - counter.score(second))
        p_randomization = _p_value(swapped, difference)
        found.append(
            Comparison(
                difference,
                *interval(differences),
                p_bootstrap=max(_p_value(_centred(differences, difference, len(before)), difference), p_randomization),
                p_randomization=p_randomization,
                sacrebleu_bootstrap=_sacrebleu_p_value(sizes - sizes.mean(), difference),
                sacrebleu_randomization=_sacrebleu_p_value(swapped, difference),
            )
        )
    return found


def _randomize(
    baseline: Sequence[np.ndarray], system: Sequence[np.ndarray], trials: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the sums of two systems that swap each sentence with probability 1/2, for each metric."""
    random = np.random.default_rng(seed)
    sentences = len(baseline[0])
    swaps = [np.asarray(before, np.float64) - after for before, after in zip(baseline, system, strict=True)]
    mixed = _sums(swaps, trials, lambda rows: random.integers(2, size=(rows, sentences), dtype=bool))
    for before, after, swapped in zip(baseline, system, mixed, strict=True):
        ours, theirs = (np.asarray(one, np.float64).sum(axis=0) for one in (after, before))
        yield ours + swapped, theirs - swapped


def _sums(statistics: Sequence[np.ndarray], rows: int, weights: Callable[[int], np.ndarray]) -> list[np.ndarray]:
    sums = [np.empty((rows, one.shape[1])) for one in statistics]
    # In steps of 32 rows: numpy takes 32 booleans from one draw, and discards the remainder of each call.
    block = max(32, BLOCK // len(statistics[0]) // 32 * 32)
    for start in range(0, rows, block):
        drawn = weights(min(block, rows - start)).astype(np.float64)
        for total, one in zip(sums, statistics, strict=True):
            total[start : start + len(drawn)] = drawn @ np.asarray(one, np.float64)
    return sums


def _score(counter: Counter, statistics: np.ndarray) -> float:
    return float(counter.score(np.asarray(statistics, np.float64).sum(axis=0, keepdims=True))[0])


def _centred(differences: np.ndarray, difference: float, sentences: int) -> np.ndarray:
    """Returns the sizes of the resampled differences under equal systems, of shape (resamples,).

    Resamples vary around the observed difference, and by (n - 1) / n too little in variance. Where few sentences differ
    they still vary too little, so `compare` raises the p-value to that of the exact test.
    """
    if sentences < 2:
        return np.full(len(differences), np.inf)  # one sentence says nothing about others
    return np.abs(differences - difference) * np.sqrt(sentences / (sentences - 1))


def _p_value(sizes: np.ndarray, difference: float) -> float:
    """Returns the share of resamples with a difference of at least the observed size; 1 where it is not a number."""
    observed = abs(difference)
    if not difference or not np.isfinite(observed):
        return 1.0
    # A resample that is not a number counts as larger.
    larger = ~(sizes < observed * (1 - TOLERANCE))
    return (int(np.sum(larger)) + 1) / (len(sizes) + 1)


def _sacrebleu_p_value(sizes: np.ndarray, difference: float) -> float:
    return (int(np.sum(sizes > abs(difference))) + 1) / (len(sizes) + 1)
