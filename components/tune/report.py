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
    page = render(
        Path(__file__).with_name("report.html"),
        trials=ranked,
        best=best,
        first=next((trial for trial in trials if trial.state == "succeeded"), best),
        names=[one.name for one in dimensions],
        counts={state: sum(trial.state == state for trial in trials) for state in ("succeeded", "pruned", "failed")},
        curves=[(trial, _curve(trial, trials)) for trial in ranked[::-1] if len(trial.epochs) > 1],
        width=WIDTH,
        height=HEIGHT,
    )
    atomic_write(path, page)


def _curve(trial: Trial, trials: Sequence[Trial]) -> str:
    """A trial's metric by epoch as the points of an SVG line; the scale ends at the 90th percentile of all values."""
    values = sorted(value for one in trials for value in one.epochs.values())
    low, high = values[0], values[int(0.9 * (len(values) - 1))]
    last = max(epoch for one in trials for epoch in one.epochs)
    points = [
        (
            WIDTH * (epoch - 1) / max(last - 1, 1),
            HEIGHT * (1 - min((value - low) / ((high - low) or 1), 1)),
        )
        for epoch, value in sorted(trial.epochs.items())
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
