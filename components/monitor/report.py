"""The report of monitoring: alarms, figures with intervals, distributions, and the texts furthest from training."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqline.artifacts.monitoring import Measured, Monitoring
from seqline.artifacts.monitoring_state import State
from seqline.atomic import atomic_write
from seqline.components.monitor.figures import FIGURES
from seqline.components.monitor.traffic import Traffic
from seqline.html_report.page import render

TEXTS = 15
CHARACTERS = 600
BINS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 256)


@dataclass(frozen=True)
class Text:
    """A text that is shown.

    Attributes:
        source: The text.
        output: Its answer; None if it is not stored.
        surprise: Bits per token.
        language: Its language; None if it was not identified.
    """

    source: str
    output: str | None
    surprise: float
    language: str | None


def write_report(report: Path, found: Monitoring, traffic: Traffic, before: State | None) -> None:
    """Writes the report.

    Args:
        report: The HTML page to write.
        found: The result.
        traffic: The window's requests.
        before: The state before the window.
    """
    by_slice: dict[str, list[Measured]] = {}
    for one in found.figures:
        by_slice.setdefault(one.slice, []).append(one)
    page = render(
        Path(__file__).with_name("report.html"),
        found=found,
        window=found.window,
        labels={name: figure.label for name, figure in FIGURES.items()},
        kinds={name: figure.kind for name, figure in FIGURES.items()},
        by_slice=by_slice,
        histograms=_histograms(traffic),
        counts=[
            (label, Counter(traffic.requests[name].drop_null().to_pylist()).most_common(12))
            for label, name in (("Script", "script"), ("Language", "language"))
        ],
        texts=furthest(traffic),
        started=before.end if before else "",
        trained=traffic.reference,
    )
    atomic_write(report, page)


def furthest(traffic: Traffic, count: int = TEXTS) -> list[Text]:
    """The texts furthest from training, where texts are stored; equal ones once.

    Args:
        traffic: The window's requests.
        count: Number of texts.
    """
    scores = traffic.unusual()
    found: dict[str, Text] = {}
    for row in np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable").tolist():
        if np.isnan(scores[row]) or len(found) == count:
            break
        one = {name: traffic.requests[name][row].as_py() for name in ("source", "output", "language")}
        if one["source"] is not None and one["source"] not in found:
            output = one["output"]
            shown = None if output is None else output[:CHARACTERS]
            found[one["source"]] = Text(one["source"][:CHARACTERS], shown, float(scores[row]), one["language"])
    return list(found.values())


def _histograms(traffic: Traffic) -> list[tuple[str, list[str], list[tuple[str, list[float]]]]]:
    """Lengths in tokens, of the window and in training, in per mille."""
    if traffic.reference is None:
        return []
    sources = traffic.reference.sources
    shown = []
    for label, column, trained in (
        ("Texts by length in tokens (per mille)", "source_tokens", sources.source_lengths),
        ("Outputs by length in tokens (per mille)", "output_tokens", sources.target_lengths),
    ):
        ours = Counter(length for length in traffic.requests[column].to_pylist() if length >= 0)
        if ours and trained:
            pairs = zip(_binned(ours), _binned(trained), strict=True)
            names = [f"up to {edge}" for edge in BINS] + [f"over {BINS[-1]}"]
            shown.append((label, ["Window", "Training"], [(n, list(p)) for n, p in zip(names, pairs, strict=True)]))
    return shown


def _binned(lengths: "Counter[int] | dict[int, int]") -> list[float]:
    counts = np.zeros(len(BINS) + 1)
    for length, count in lengths.items():
        counts[int(np.searchsorted(BINS, length))] += count
    return [round(float(one)) for one in 1000 * counts / counts.sum()]
