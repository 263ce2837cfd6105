"""The page about a study."""

from collections.abc import Sequence
from pathlib import Path

from seqline.artifacts.tuning import Trial, best_of
from seqline.atomic import atomic_write
from seqline.components.tune.space import Dimension
from seqline.html_report.page import render

WIDTH, HEIGHT = 600, 200


def write_report(path: Path, trials: Sequence[Trial], dimensions: Sequence[Dimension]) -> None:
    """Writes the page: the trials with their hyperparameters, ranked, and their metric by epoch.

    Args:
        path: The HTML file.
        trials: All trials; at least one finished.
        dimensions: The search space.
    """
    best = best_of(trials)
    ranked = sorted(trials, key=lambda trial: (trial.value is None, trial.value, trial.number))
    scale, last = _scale(trials)
    page = render(
        Path(__file__).with_name("report.html"),
        trials=ranked,
        best=best,
        first=next((trial for trial in trials if trial.state == "succeeded"), best),
        names=[one.name for one in dimensions],
        counts={state: sum(trial.state == state for trial in trials) for state in ("succeeded", "pruned", "failed")},
        scale=scale,
        last=last,
        curves=[(trial, _curve(trial, scale, last)) for trial in ranked[::-1] if len(trial.epochs) > 1],
        width=WIDTH,
        height=HEIGHT,
    )
    atomic_write(path, page)


def _scale(trials: Sequence[Trial]) -> tuple[tuple[float, float], int]:
    """The ends of the vertical scale, which are the lowest value and the 90th percentile, and the last epoch."""
    values = sorted(value for one in trials for value in one.epochs.values())
    if not values:
        return (0.0, 0.0), 1
    return (values[0], values[int(0.9 * (len(values) - 1))]), max(epoch for one in trials for epoch in one.epochs)


def _curve(trial: Trial, scale: tuple[float, float], last: int) -> str:
    """A trial's metric by epoch as the points of an SVG line; what is above the scale is drawn at its end."""
    low, high = scale
    points = [
        (
            WIDTH * (epoch - 1) / max(last - 1, 1),
            HEIGHT * (1 - min((value - low) / ((high - low) or 1), 1)),
        )
        for epoch, value in sorted(trial.epochs.items())
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
