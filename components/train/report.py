"""The page about a training run: loss, learning rate, throughput and the decoded sample by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqline.atomic import atomic_write
from seqline.html_report.page import render

WIDTH, HEIGHT = 600, 150
HISTORY = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Chart:
    """One metric, or a few on one scale, by epoch.

    Attributes:
        title: Title.
        y: Title of the vertical axis, with the unit.
        unit: Unit, printed after the numbers.
        lines: By name: the points of an SVG line, and the last value.
        low: Value at the lower edge.
        high: Value at the upper edge.
        digits: Decimals of the numbers.
    """

    title: str
    y: str
    unit: str
    lines: dict[str, tuple[str, float]]
    low: float
    high: float
    digits: int


CHARTS = (
    ("Loss", "Nats per token", "", {"training, smoothed": "loss", "validation": "valid_loss"}, 1.0, 3),
    ("BLEU and ROUGE-L of the decoded sample", "Points", "", {"BLEU": "valid_bleu", "ROUGE-L": "valid_rougeL"}, 1.0, 1),
    (
        "Exact match and F1 of the decoded sample",
        "Percent",
        "%",
        {"exact match": "valid_exact_match", "F1": "valid_token_f1"},
        1.0,
        1,
    ),
    ("Validation accuracy of the next token", "Percent", "%", {"accuracy": "valid_accuracy"}, 100.0, 1),
    ("Learning rate", "Learning rate", "", {"learning rate": "lr"}, 1.0, 5),
    ("Speed, without padding", "Target tokens/s", "", {"tokens per second": "tokens_per_second"}, 1.0, 0),
    ("Padding", "Percent of positions", "%", {"padding": "padding_share"}, 100.0, 1),
)


def write_report(
    path: Path,
    history: HISTORY,
    facts: Sequence[tuple[str, object]],
    best: int,
    chosen: Sequence[tuple[str, object, str]] = (),
    repeating: str = "",
) -> None:
    """Writes the page.

    Args:
        path: The HTML file.
        history: One entry an epoch; see `Checkpoint.history`.
        facts: Names and values that describe model, data and options.
        best: The epoch whose weights the checkpoint holds.
        chosen: Options that training chose: name, value and reason.
        repeating: Flags that repeat the training with what it chose.
    """
    page = render(
        Path(__file__).with_name("report.html"),
        history=history,
        best=next(entry for entry in history if entry["epoch"] == best),
        last=history[-1],
        tokens=sum(entry["target_tokens"] for entry in history),
        seconds=sum(entry["seconds"] for entry in history),
        charts=[chart for chart in (_chart(history, *one) for one in CHARTS) if chart],
        facts=facts,
        chosen=chosen,
        repeating=repeating,
        width=WIDTH,
        height=HEIGHT,
    )
    atomic_write(path, page)


def _chart(
    history: HISTORY, title: str, y: str, unit: str, names: Mapping[str, str], factor: float, digits: int
) -> Chart | None:
    """The chart of some metrics; None if no epoch has one of them."""
    found = {
        label: [(entry["epoch"], factor * entry[name]) for entry in history if name in entry]
        for label, name in names.items()
    }
    found = {label: points for label, points in found.items() if points}
    if not found:
        return None
    values = [value for points in found.values() for _, value in points]
    low, high = min(values), max(values)
    if high - low < 0.02 * abs(high):
        low, high = low - 0.05 * abs(high), high + 0.05 * abs(high)
    first, last = history[0]["epoch"], history[-1]["epoch"]

    def point(epoch: float, value: float) -> str:
        across = WIDTH * ((epoch - first) / (last - first) if last > first else 0.5)
        return f"{across:.1f},{HEIGHT * (1 - (value - low) / ((high - low) or 1)):.1f}"

    lines = {label: (" ".join(point(*one) for one in points), points[-1][1]) for label, points in found.items()}
    return Chart(title, y, unit, lines, low, high, digits)
