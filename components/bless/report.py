"""The decision's report: rules, scoreboard, slices, and the sentences with the biggest gains and losses."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from seqline.artifacts.decision import Decision
from seqline.artifacts.evaluation import Comparison, MetricValue, Sentence, Slice, read_sentences
from seqline.atomic import atomic_write
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.movement import BANDS
from seqline.html_report.differences import Segment, differences
from seqline.html_report.page import render
from seqline.metrics.histogram import Histogram, histogram
from seqline.metrics.metrics import HEADLINES, METRICS, RANKINGS, Labels, Metric, find_metric

SHOWN = 8  # sentences with gains, and as many with losses


@dataclass(frozen=True)
class ScoreRow:
    """A row of the scoreboard.

    Attributes:
        metric: The metric.
        challenger: The challenger's value.
        champion: That of the version compared with; None where it has none that is comparable.
        comparison: Interval and p-values of the difference; None where it was not tested.
    """

    metric: Metric
    challenger: MetricValue
    champion: MetricValue | None
    comparison: Comparison | None


@dataclass(frozen=True)
class OutputPair:
    """Both models' outputs for one test sentence.

    Attributes:
        sentence: The challenger's.
        champion: Segments of the champion's output.
        challenger: Segments of the challenger's output.
        scores: Sentence-level scores of the champion and the challenger.
    """

    sentence: Sentence
    champion: list[Segment]
    challenger: list[Segment]
    scores: tuple[float, float]


def write_report(report: Path, decision: Decision, pair: EvaluationPair, best: EvaluationPair | None) -> None:
    """Writes the report of a decision.

    Args:
        report: The HTML page to write.
        decision: The decision.
        pair: The evaluations that it is based on.
        best: Those of the challenger and the best version so far; None if that is the champion.
    """
    task = pair.challenger.task
    scores = pair.scores
    anchor = decision.anchor
    rows, anchor_rows = (
        [_score_row(name, value, metrics, comparisons) for name, value in decision.challenger.items()]
        for metrics, comparisons in (
            (decision.champion, decision.comparisons),
            (anchor.metrics, anchor.comparisons),
        )
    )
    slices = [(ours, theirs) for ours, theirs in pair.all_slices if ours.sentences]
    page = render(
        Path(__file__).with_name("report.html"),
        decision=decision,
        evaluation=pair.challenger,
        champion=pair.champion,
        same=pair.is_one_model,
        compared=pair.champion or anchor.metrics,
        best=best.champion if best else None,
        best_state=_best_state(best),
        rows=rows,
        anchor_rows=anchor_rows,
        decoding_differences=_decoding_differences(pair),
        labels=Labels(),
        headline=METRICS[HEADLINES[task]],
        ranking=METRICS[RANKINGS[task]].label,
        slicings=_by_slicing(slices),
        histograms=_histograms(*scores) if scores else [],
        groups=_groups(pair.folders, *scores) if scores and pair.folders else {},
        outcomes=_outcomes(*scores) if scores else None,
        bands=BANDS,
    )
    atomic_write(report, page)


def _best_state(best: EvaluationPair | None) -> str:
    """Says in words which the best version is, where it has no evaluation of its own."""
    if best is None:
        return "the live version"
    return "cannot be evaluated" if best.problem else "the challenger itself" if best.is_one_model else "none"


def _score_row(
    name: str, value: MetricValue, other: dict[str, MetricValue] | None, comparisons: dict[str, Comparison]
) -> ScoreRow:
    champion = (other or {}).get(name)
    if champion is not None and champion.signature != value.signature:
        champion = None
    return ScoreRow(find_metric(name), value, champion, comparisons.get(name) if champion else None)


def _decoding_differences(pair: EvaluationPair) -> list[str]:
    """Returns the decoding options in which the models differ."""
    ours, theirs = pair.challenger.decoding, pair.champion.decoding if pair.champion else {}
    return [name for name in ours if name in theirs and ours[name] != theirs[name]]


def _by_slicing(slices: list[tuple[Slice, Slice | None]]) -> dict[str, list[tuple[Slice, Slice | None]]]:
    return {name: list(group) for name, group in groupby(slices, key=lambda one: one[0].slicing)}


def _outcomes(champion: np.ndarray, challenger: np.ndarray) -> tuple[int, int, int]:
    """Counts the sentences on which the challenger is better, equal and worse."""
    better, worse = int(np.sum(challenger > champion)), int(np.sum(challenger < champion))
    return better, len(champion) - better - worse, worse


def _histograms(champion: np.ndarray, challenger: np.ndarray) -> list[tuple[str, list[str], Histogram]]:
    return [
        ("Sentences by score", ["Challenger", "Live version"], histogram([challenger, champion])),
        ("Sentences by the challenger's gain", [""], histogram([challenger - champion])),
    ]


def _groups(folders: tuple[Path, Path], champion: np.ndarray, challenger: np.ndarray) -> dict[str, list[OutputPair]]:
    """Returns the sentences with the biggest losses and gains, the biggest first."""
    gains = challenger - champion
    order = np.argsort(gains, kind="stable").tolist()
    groups = {
        "Biggest losses": [index for index in order[:SHOWN] if gains[index] < 0],
        "Biggest gains": [index for index in order[::-1][:SHOWN] if gains[index] > 0],
    }
    shown = {index for indices in groups.values() for index in indices}
    before, after = (
        {index: sentence for index, sentence in enumerate(read_sentences(folder)) if index in shown}
        for folder in folders
    )

    def pair(index: int) -> OutputPair:
        ours, theirs = after[index], before[index]
        segments = differences(theirs.output, ours.output)
        return OutputPair(ours, *segments, scores=(float(champion[index]), float(challenger[index])))

    return {name: [pair(index) for index in indices] for name, indices in groups.items()}
