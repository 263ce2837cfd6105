"""The figures of a window, each with an interval."""

import numpy as np

from seqline.artifacts.monitoring import Measured
from seqline.components.monitor.figures import FIGURES, Figure
from seqline.components.monitor.traffic import Traffic, training_shares, training_value
from seqline.metrics.divergence import distance, estimated, judged, judged_pairs, shares
from seqline.metrics.sequential import Floats, Interval, interval

ERROR = 0.05
"""Probability that any interval of a window is wrong."""


def measure(traffic: Traffic, before: Traffic | None, slice_: str = "") -> list[Measured]:
    """Measures every figure that the requests have.

    Args:
        traffic: The window.
        before: The window before; None for none.
        slice_: The slice that both are of.
    """
    found = [_measured(figure, traffic, before, slice_) for figure in FIGURES.values()]
    return [one for one in found if one is not None]


def _measured(figure: Figure, traffic: Traffic, before: Traffic | None, slice_: str) -> Measured | None:
    error = ERROR / len(FIGURES)
    if figure.kind == "distance":
        return _distance(figure, traffic, before, slice_, error)
    values = traffic.values(figure)
    if not len(values):
        return None
    earlier = before.values(figure) if before else np.zeros(0)
    if figure.kind == "percentile":
        found, past = percentile(values, error), np.quantile(earlier, 0.95) if len(earlier) else None
    else:
        found, past = (
            interval(values, figure.least, figure.most, error),
            earlier.mean() if len(earlier) else None,
        )
    training = training_value(figure, traffic.reference)
    return Measured(figure.name, slice_, len(values), found.value, found.low, found.high, training, _plain(past))


def _plain(value: float | None) -> float | None:
    return None if value is None else float(value)


def _distance(figure: Figure, traffic: Traffic, before: Traffic | None, slice_: str, error: float) -> Measured | None:
    values = traffic.distribution(figure)
    if len(values) < 2:
        return None
    expected, past = training_shares(figure, traffic.reference), None
    earlier = before.distribution(figure) if before else None
    found: Interval | None = None
    if earlier is not None and len(earlier) > 1:
        # Half of the noise is that of the window before; its own bias is taken out as well.
        between = min(len(values), len(earlier))
        rows = np.arange(between)
        _, bounds = judged_pairs(values.take(rows), earlier.take(rows), 0.0)
        past = distance(estimated(values, shares(earlier.weights())))
        found = _around(past, bounds, error)
    if expected is not None:
        _, bounds, _ = judged(values, expected, np.zeros(values.size), 0.0)
        found = _around(distance(estimated(values, expected)), bounds, error)
    if found is None:
        return None
    return Measured(figure.name, slice_, len(values), found.value, found.low, found.high, None, past)


def _around(value: float, bounds: Floats, error: float) -> Interval:
    """The interval of a distance: from a lower bound that holds to as much above the estimate, which is too high."""
    bound = interval(bounds, -2.0, 1.0, error)
    return Interval(value, min(value, distance(bound.low)), min(1.0, distance(value**2 + bound.high - bound.value)))


def percentile(values: Floats, error: float) -> Interval:
    """The 95th percentile, with an interval: where the share of larger values is surely above, or below, 5%.

    Args:
        values: At least one.
        error: Probability that the percentile is outside.
    """
    ordered = np.sort(values)
    share = interval((values > np.quantile(values, 0.95)).astype(float), 0.0, 1.0, error)
    spread = max(share.high - share.value, share.value - share.low)
    low, high = (float(np.quantile(ordered, min(1.0, max(0.0, 0.95 + side * spread)))) for side in (-1, 1))
    return Interval(float(np.quantile(ordered, 0.95)), low, high)
