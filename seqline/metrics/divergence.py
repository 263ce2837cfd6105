"""How far two distributions are apart: the Jensen-Shannon distance, and bets on it that a small sample does not win.

The distance of a sample's frequencies from a corpus is above 0 for a small sample even where nothing changed. So the
tests do not use it. The divergence is the best that any witness reaches that guesses of a value which of the two
distributions it is from:

    divergence(P, Q) = 1 + max over D of (E_P log2 D + E_Q log2 (1 - D)) / 2,   best: D = P / (P + Q)

(Goodfellow et al. 2014, arXiv:1406.2661, Proposition 1 and Theorem 1.) A witness that was made from earlier requests is
below the divergence on average, so its mean over later ones is a lower bound, with no bias to correct.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqline.metrics.sequential import Floats

BATCH = 64
"""Requests that are judged by one witness, before the next one learns from them."""
PRIOR = 400.0
"""Weight of the corpus in a witness, in requests: it begins with no difference."""
LEAST = 1 / 8
"""A witness is never surer than this, so that a request can cost a bet only so much."""


@dataclass(frozen=True)
class Values:
    """The values of requests, such as the buckets of their tokens; every request weighs the same.

    Attributes:
        ids: All values, request by request.
        counts: Number of values of each request, at least 1.
        size: Number of different values.
    """

    ids: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: npt.NDArray[np.int64]) -> "Values":
        """Some of the requests.

        Args:
            rows: Their indices.
        """
        counts = self.counts[rows]
        starts = np.cumsum(self.counts)[rows] - counts
        first = np.cumsum(counts) - counts
        positions = np.repeat(starts - first, counts) + np.arange(int(counts.sum()))
        return Values(self.ids[positions], counts, self.size)

    def weights(self) -> Floats:
        """How often each value occurs, where the values of a request count 1 together."""
        return np.bincount(self.ids, np.repeat(1 / self.counts, self.counts), self.size).astype(np.float64)

    def means(self, scores: Floats) -> Floats:
        """The mean score of each request.

        Args:
            scores: By value.
        """
        if not len(self):
            return np.zeros(0)
        starts = np.cumsum(self.counts) - self.counts
        means: Floats = np.add.reduceat(scores[self.ids], starts) / self.counts
        return means


def shares(weights: npt.NDArray[Any]) -> Floats:
    """Weights that sum to 1; all equal where there are none.

    Args:
        weights: From 0 on.
    """
    total = weights.sum()
    result: Floats = weights / total if total > 0 else np.full(len(weights), 1 / len(weights))
    return result


def divergence(one: Floats, other: Floats) -> float:
    """The Jensen-Shannon divergence with binary logarithms: from 0 to 1.

    Args:
        one: Shares.
        other: Shares.
    """
    middle = (one + other) / 2
    total = 0.0
    for each in (one, other):
        some = each > 0
        total += float((each[some] * np.log2(each[some] / middle[some])).sum()) / 2
    return min(1.0, max(0.0, total))


def estimated(values: Values, reference: Floats) -> float:
    """The divergence of a sample from a corpus, without most of the bias of a small sample.

    The bias of a half is twice that of the whole: the jackknife of two halves takes it out.

    Args:
        values: Of the requests, in random order.
        reference: Shares.
    """
    rows = np.arange(len(values))
    whole = divergence(shares(values.weights()), reference)
    if len(values) < 2:
        return 0.0
    halves = [divergence(shares(values.take(half).weights()), reference) for half in (rows[::2], rows[1::2])]
    return max(0.0, 2 * whole - sum(halves) / 2)


def judged(values: Values, reference: Floats, learned: Floats, limit: float) -> tuple[Floats, Floats, Floats]:
    """Bets that the divergence from a corpus is above a limit.

    Args:
        values: Of the requests of a window, in random order.
        reference: The corpus's shares.
        learned: Weights of earlier requests, from which the first witness is made.
        limit: The divergence to exceed.

    Returns:
        The gains for `Detector.after`; each request's share of the lower bound; and the weights of all requests.
    """
    gains, bounds, weights = [], [], learned.copy()
    for rows in _batches(len(values)):
        batch = values.take(rows)
        theirs = shares(weights + PRIOR * reference)
        for_them, against = _witness(theirs, reference)
        rest = float((reference * against).sum()) / 2
        worst = float(for_them.min()) / 2 + rest - limit
        bound = batch.means(for_them) / 2 + rest
        bounds.append(bound)
        gains.append((bound - limit) / max(-worst, 1e-9))
        weights += batch.weights()
    return _joined(gains), _joined(bounds), weights


def judged_pairs(values: Values, others: Values, limit: float) -> tuple[Floats, Floats]:
    """Bets that two samples are of distributions whose divergence is above a limit.

    Args:
        values: Of the requests of a window, in random order.
        others: Of another window, in random order; the nth request of one is paired with the nth of the other.
        limit: The divergence to exceed.

    Returns:
        The gains for `evidence_of`, and each pair's share of the lower bound.
    """
    even = np.full(values.size, 1 / values.size)
    ours, theirs = np.zeros(values.size), np.zeros(values.size)
    gains, bounds = [], []
    for rows in _batches(min(len(values), len(others))):
        one, other = values.take(rows), others.take(rows)
        both = PRIOR * shares(ours + theirs + even)
        for_us, for_them = _witness(shares(ours + both), shares(theirs + both))
        worst = (float(for_us.min()) + float(for_them.min())) / 2 - limit
        bound = (one.means(for_us) + other.means(for_them)) / 2
        bounds.append(bound)
        gains.append((bound - limit) / max(-worst, 1e-9))
        ours += one.weights()
        theirs += other.weights()
    return _joined(gains), _joined(bounds)


def _witness(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The two logarithms of a witness, plus 1, so that a guess without knowledge is 0."""
    total = one + other
    guess = np.divide(one, total, out=np.full(len(one), 0.5), where=total > 0)
    guess = np.clip(guess, LEAST, 1 - LEAST)
    return np.log2(guess) + 1, np.log2(1 - guess) + 1


def _batches(count: int) -> Iterator[npt.NDArray[np.int64]]:
    # The first ones are small: the first witness knows nothing.
    start, size = 0, 8
    while start < count:
        yield np.arange(start, min(count, start + size))
        start, size = start + size, min(BATCH, size * 2)


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def distance(value: float) -> float:
    """The Jensen-Shannon distance, which is a metric: the root of the divergence.

    Args:
        value: The divergence; one below 0 is 0.
    """
    return math.sqrt(max(0.0, value))
