"""Tests that stay valid however often somebody looks: bets against a limit, and intervals for windows of any size.

A figure's limit is a hypothesis: its mean is at most the limit, at all times. A bet against it stakes a share of its
wealth on every request; if the hypothesis holds, the wealth does not grow on average, whatever happened before, so its
growth is evidence (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024,
arXiv:2010.09686). A change may begin at any time, so a new bet begins with every window, and the sum of all is an
e-detector: with the limit 1/a for the sum, a false alarm comes once in 1/a windows on average, or less (Shin, Ramdas
and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", arXiv:2203.03532). Rates of false
alarms add up, whatever the dependence, so many detectors share a yearly number of them.

Intervals are the empirical Bernstein confidence sequences of Waudby-Smith and Ramdas (Theorem 2), which hold for all
sizes at once, as those of Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Annals of Statistics 2021 (arXiv:1810.08240), do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STAKES = (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625)
"""Shares of the wealth that bets stake, of the most that cannot bankrupt them: small effects need small stakes. The
mean of several bets is a bet."""
HOURS_A_YEAR = 24 * 365


@dataclass(frozen=True)
class Detector:
    """Evidence for a change beyond a limit, over all windows so far.

    Attributes:
        wealth: Natural logarithm of the sum of all bets, for each of `STAKES`; -inf before the first window.
    """

    wealth: tuple[float, ...] = (-math.inf,) * len(STAKES)

    @property
    def evidence(self) -> float:
        """Natural logarithm of the mean over the stakes; a change is proven from `required` on."""
        return _log_mean(self.wealth)

    def after(self, gains: Floats) -> "Detector":
        """The detector after a window, in which another bet begins.

        Args:
            gains: For each request, how far it is beyond the limit, as a multiple of the most that it could be below
                it; never below -1. Its mean is at most 0 if the hypothesis holds.
        """
        grown = _growth(gains)
        return Detector(tuple(float(np.logaddexp(old, 0.0)) + new for old, new in zip(self.wealth, grown, strict=True)))


def evidence_of(gains: Floats) -> float:
    """Natural logarithm of the e-value of one window alone.

    Args:
        gains: As in `Detector.after`.
    """
    return _log_mean(_growth(gains))


def required(false_alarms_per_year: float, hours: float, tests: int) -> float:
    """The evidence from which a change counts as proven.

    Args:
        false_alarms_per_year: Number of false alarms a year of all tests together, on average and at most.
        hours: Length of a window.
        tests: Number of tests in each window.
    """
    windows = HOURS_A_YEAR / hours
    return math.log(max(1.0, windows * tests / false_alarms_per_year))


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def interval(values: Floats, least: float, most: float, error: float) -> Interval:
    """The mean of bounded values, with an interval that is valid for windows of any size.

    Args:
        values: In the order in which they came; at least one.
        least: The smallest that a value can be.
        most: The largest.
        error: Probability that the mean is outside.
    """
    scale = most - least
    units = (values - least) / scale
    count = len(units)
    steps = np.arange(1, count + 1)
    # Each stake depends on the values before it alone.
    means = (0.5 + np.cumsum(units)) / (steps + 1)
    before = np.concatenate(([0.5], means[:-1]))
    variances = (0.25 + np.cumsum((units - means) ** 2)) / (steps + 1)
    variances = np.concatenate(([0.25], variances[:-1]))
    stakes = np.minimum(np.sqrt(2 * math.log(2 / error) / (variances * steps * np.log1p(steps))), 0.5)
    total = float(stakes.sum())
    spread = (math.log(2 / error) + float(((units - before) ** 2 * (-np.log1p(-stakes) - stakes)).sum())) / total
    middle = float((stakes * units).sum()) / total
    mean = float(units.mean())
    low, high = max(0.0, min(middle - spread, mean)), min(1.0, max(middle + spread, mean))
    return Interval(*(least + scale * one for one in (mean, low, high)))


def _growth(gains: Floats) -> list[float]:
    return [float(np.log1p(stake * gains).sum()) for stake in STAKES]


def _log_mean(logarithms: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(np.array(logarithms))) - math.log(len(logarithms))
