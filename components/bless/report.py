"""The decision's page: the verdict, the scoreboard, slices, and the sentences that were won and lost."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from seqline.artifacts.decision import Decision
from seqline.artifacts.evaluation import Comparison, Figure, Sentence, Slice, read_sentences
from seqline.atomic import atomic_write
from seqline.components.bless.evidence import Evidence
from seqline.components.bless.movement import BANDS
from seqline.components.evaluate.report import histogram
from seqline.html_report.differences import Piece, differences
from seqline.html_report.page import render
from seqline.metrics.metrics import HEADLINES, METRICS, RANKINGS, Metric

SHOWN = 8  # sentences won, and as many lost


@dataclass(frozen=True)
class Line:
    """A line of the scoreboard.

    Attributes:
        metric: The metric.
        challenger: Its figure of the challenger.
        champion: Of the champion; None where it has none that is comparable.
        comparison: How sure the difference is; None where no test was made.
    """

    metric: Metric
    challenger: Figure
    champion: Figure | None
    comparison: Comparison | None

    @property
    def won(self) -> bool | None:
        """Whether the challenger is better; None where neither is."""
        if self.champion is None or self.metric.higher_is_better is None:
            return None
        difference = self.challenger.value - self.champion.value
        return None if round(difference, 2) == 0 else (difference > 0) == self.metric.higher_is_better


@dataclass(frozen=True)
class Pair:
    """One test sentence as both models answer it.

    Attributes:
        sentence: The challenger's.
        champion: The champion's output, cut where the challenger's differs.
        challenger: The challenger's output, cut where the champion's differs.
        scores: The champion's score of the sentence alone, and the challenger's.
    """

    sentence: Sentence
    champion: list[Piece]
    challenger: list[Piece]
    scores: tuple[float, float]


def write_report(report: Path, decision: Decision, evidence: Evidence) -> None:
    """Writes the page of a decision.

    Args:
        report: The HTML page to write.
        decision: What was decided.
        evidence: What it was decided on.
    """
    task = evidence.challenger.task
    scores = evidence.scores
    lines = [_line(name, figure, decision) for name, figure in decision.challenger.items()]
    page = render(
        Path(__file__).with_name("report.html"),
        decision=decision,
        evaluation=evidence.challenger,
        champion=evidence.champion,
        lines=lines,
        other_decoding=_other_decoding(evidence),
        labels={metric.name: metric.label for metric in METRICS.values()},
        headline=METRICS[HEADLINES[task]],
        ranking=METRICS[RANKINGS[task]].label,
        slicings=_slices(evidence),
        histograms=_histograms(*scores) if scores else [],
        groups=_groups(evidence, *scores) if scores else {},
        wins=_wins(*scores) if scores else None,
        bands=BANDS,
    )
    atomic_write(report, page)


def _line(name: str, figure: Figure, decision: Decision) -> Line:
    theirs = (decision.champion or {}).get(name)
    if theirs is not None and theirs.signature != figure.signature:
        theirs = None
    return Line(METRICS[name], figure, theirs, decision.comparisons.get(name))


def _other_decoding(evidence: Evidence) -> list[str]:
    """The decoding options in which the two differ."""
    ours, theirs = evidence.challenger.decoding, evidence.champion.decoding if evidence.champion else {}
    return [name for name in ours if name in theirs and ours[name] != theirs[name]]


def _slices(evidence: Evidence) -> dict[str, list[tuple[Slice, Slice | None]]]:
    theirs = {(one.slicing, one.name): one for one in evidence.champion.slices} if evidence.champion else {}
    pairs = [(one, theirs.get((one.slicing, one.name))) for one in evidence.challenger.slices if one.sentences]
    return {name: list(group) for name, group in groupby(pairs, key=lambda pair: pair[0].slicing)}


def _wins(champion: np.ndarray, challenger: np.ndarray) -> tuple[int, int, int]:
    """Sentences that the challenger answers better, that are equal, and that it answers worse."""
    won, lost = int(np.sum(challenger > champion)), int(np.sum(challenger < champion))
    return won, len(champion) - won - lost, lost


def _histograms(
    champion: np.ndarray, challenger: np.ndarray
) -> list[tuple[str, list[str], list[tuple[str, list[int]]]]]:
    return [
        ("Sentences by their score", ["Challenger", "Champion"], histogram([challenger, champion])),
        ("Sentences by what the challenger wins or loses", [""], histogram([challenger - champion])),
    ]


def _groups(evidence: Evidence, champion: np.ndarray, challenger: np.ndarray) -> dict[str, list[Pair]]:
    """The sentences that were lost and won most, the farthest first."""
    gains = challenger - champion
    order = np.argsort(gains, kind="stable").tolist()
    groups = {
        "Biggest losses": [place for place in order[:SHOWN] if gains[place] < 0],
        "Biggest gains": [place for place in order[::-1][:SHOWN] if gains[place] > 0],
    }
    wanted = {place for places in groups.values() for place in places}
    assert evidence.folders is not None  # noqa: S101 (there are scores)
    before, after = (
        {place: one for place, one in enumerate(read_sentences(folder)) if place in wanted}
        for folder in evidence.folders
    )

    def pair(place: int) -> Pair:
        ours, theirs = after[place], before[place]
        cut = differences(theirs.output, ours.output)
        return Pair(ours, *cut, scores=(float(champion[place]), float(challenger[place])))

    return {name: [pair(place) for place in places] for name, places in groups.items()}
