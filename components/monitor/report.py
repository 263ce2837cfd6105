"""The report of monitoring: alarms, figures with intervals, distributions, and the texts furthest from training."""

import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from seqline.artifacts.monitoring import Measured, Monitoring, RuleState
from seqline.artifacts.monitoring_state import State
from seqline.atomic import atomic_write
from seqline.components.monitor.figures import FIGURES, Figure
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
    others: dict[str, list[RuleState]] = {}
    for rule in found.rules:
        if not rule.since:
            others.setdefault(rule.slice, []).append(rule)
    window = found.window
    page = render(
        Path(__file__).with_name("report.html"),
        found=found,
        window=window,
        # A laptop's endpoint is a folder, one on Vertex AI a resource name.
        name=window.endpoint.rstrip("/").rpartition("/")[2],
        span=_span(window.start, window.end),
        hours=_hours(window.start, window.end),
        at=_moment,
        drift=[rule for rule in found.alarms if _figure(rule).of_drift],
        figure_of=_figure,
        figures=FIGURES,
        others=others,
        again=shlex.join(["seqline", "run", "--pipeline", "monitoring", "--set", f"endpoint={window.endpoint}"]),
        by_slice=by_slice,
        histograms=_histograms(traffic),
        counts=[
            (label, Counter(traffic.requests[name].drop_null().to_pylist()))
            for label, name in (("Script", "script"), ("Language", "language"))
        ],
        texts=furthest(traffic),
        started=before.end if before else "",
        trained=traffic.reference,
    )
    atomic_write(report, page)


def _figure(rule: RuleState) -> Figure:
    """The figure of a rule, with whose name its key begins."""
    return FIGURES[rule.key.partition(" ")[0]]


def _moment(time: str) -> str:
    """A time as people read it: 2026-11-30 06:00."""
    return f"{datetime.fromisoformat(time).astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def _span(start: str, end: str) -> str:
    """A window as people read it; a day is named once."""
    first, last = _moment(start), _moment(end)
    return f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def _hours(start: str, end: str) -> str:
    hours = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 and hours % 24 == 0 else f"{hours:g} hours"


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
