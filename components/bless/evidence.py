"""What the rules are judged on: both evaluations, and how sure their differences are."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from seqline.artifacts.evaluation import Comparison, Evaluation, Figure, Slice, read_evaluation
from seqline.errors import UserError
from seqline.human_evaluation.human import HUMAN, HumanEvaluation
from seqline.metrics.metrics import METRICS, RANKINGS
from seqline.metrics.resampling import compare
from seqline.metrics.statistics import SLICES, read_statistics, sentence_scores


@dataclass(frozen=True)
class Evidence:
    """Two evaluations on the same test text.

    Attributes:
        challenger: Of the model that was just trained.
        champion: Of the live version; None where there is none, or where it cannot be measured.
        problem: Why a champion that is there cannot be measured; empty otherwise.
        folders: The two evaluations' folders, the champion's first; None where nothing is to be compared.
        human: Figures that raters gave, by the metric's name.
        unheard: Why a rater's figure is not there, where it is not.
    """

    challenger: Evaluation
    champion: Evaluation | None
    problem: str = ""
    folders: tuple[Path, Path] | None = None
    human: dict[str, Figure] = field(default_factory=dict)
    unheard: str = "no human evaluation was given"

    def figure(self, metric: str) -> Figure | None:
        """The challenger's figure; None if it is raters' and they did not give it.

        Args:
            metric: The metric's name.

        Raises:
            UserError: If the evaluation lacks the metric.
        """
        if metric in HUMAN:
            return self.human.get(metric)
        return _figure(self.challenger, metric)

    def champions(self, metric: str) -> Figure:
        """The champion's figure, measured in the same way.

        Args:
            metric: The metric's name.

        Raises:
            UserError: If it lacks the metric or was measured in another way.
        """
        assert self.champion is not None  # noqa: S101 (the caller has looked)
        ours, theirs = _figure(self.challenger, metric), _figure(self.champion, metric)
        if ours.signature != theirs.signature:
            raise UserError(
                f"{METRICS[metric].label} of challenger and champion were measured differently ({ours.signature} and "
                f"{theirs.signature}): evaluate both with the same version of Seqline"
            )
        return theirs

    def slices(self, slicing: str) -> list[tuple[Slice, Slice | None]]:
        """The slices that are large enough to judge, with the champion's figures of the same.

        Args:
            slicing: length, slice, terms, or all.
        """
        theirs = {(one.slicing, one.name): one for one in self.champion.slices} if self.champion else {}
        return [
            (one, theirs.get((one.slicing, one.name)))
            for one in self.challenger.slices
            if slicing in (one.slicing, "all") and one.sentences >= max(1, self.challenger.min_slice_size)
        ]

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """How the two differ in every metric that was counted on both, by the metric's name."""
        return self._compare(self._shared, None) if self.champion else {}

    @cached_property
    def scores(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The score of every sentence alone, the champion's and the challenger's; None without a champion."""
        if self.folders is None:
            return None
        metric = RANKINGS[self.challenger.task]
        counter = METRICS[metric].counts(self.challenger.language)
        champion, challenger = (sentence_scores(counter, read_statistics(one, metric)) for one in self.folders)
        return champion, challenger

    def in_slice(self, metric: str, one: Slice) -> Comparison:
        """How the two differ in one slice.

        Args:
            metric: The metric's name.
            one: The challenger's slice.
        """
        return self._compare([metric], self.challenger.slices.index(one))[metric]

    @property
    def _shared(self) -> list[str]:
        ours, theirs = self.challenger.metrics, (self.champion or self.challenger).metrics
        return [
            name
            for name, figure in ours.items()
            if METRICS[name].counter and name in theirs and theirs[name].signature == figure.signature
        ]

    def _compare(self, metrics: list[str], place: int | None) -> dict[str, Comparison]:
        if self.folders is None:
            return {}
        # A slice's sentences are few enough to be held; the whole text stays where it is.
        chosen = slice(None) if place is None else read_statistics(self.folders[1], SLICES)[:, place]
        before, after = ([read_statistics(folder, metric)[chosen] for metric in metrics] for folder in self.folders)
        counters = [METRICS[metric].counts(self.challenger.language) for metric in metrics]
        return dict(zip(metrics, compare(counters, before, after), strict=True))


def gather(challenger: Path, champion: Path) -> Evidence:
    """Reads two evaluations, and makes sure that they can be compared.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is none.

    Raises:
        UserError: If the challenger was not evaluated, or the two were measured on different test texts.
    """
    ours, theirs = read_evaluation(challenger), read_evaluation(champion)
    if ours.absent:
        raise UserError(f"{challenger} says that there was no model to evaluate: there is no challenger to judge")
    if theirs.absent:
        return Evidence(ours, None, theirs.problem)
    for name in ("corpus_fingerprint", "sentences", "task"):
        if getattr(ours, name) != getattr(theirs, name):
            raise UserError(
                f"challenger and champion were evaluated on different test texts ({name} {getattr(ours, name)} and "
                f"{getattr(theirs, name)}): evaluate both on the same corpus"
            )
    return Evidence(ours, theirs, folders=(champion, challenger))


def hear(evidence: Evidence, human: HumanEvaluation) -> Evidence:
    """The same evidence, and what raters say, if it is about these two models.

    Args:
        evidence: From `gather`.
        human: The human evaluation.
    """
    ours, theirs = evidence.challenger, evidence.champion
    if theirs is None:
        return replace(evidence, unheard="the human evaluation given compares with a champion, and there is none")
    wanted = (ours.model_fingerprint, theirs.model_fingerprint, ours.corpus_fingerprint)
    if (human.challenger, human.champion, human.corpus) != wanted:
        return replace(
            evidence,
            unheard=f"the human evaluation given is of the models {human.challenger} and {human.champion}, not of "
            f"{wanted[0]} and {wanted[1]} on this test text",
        )
    return replace(evidence, human=human.metrics, unheard="the raters' files were too few to tell")


def _figure(evaluation: Evaluation, metric: str) -> Figure:
    try:
        return evaluation.metrics[metric]
    except KeyError:
        has = ", ".join(evaluation.metrics) or "no metrics"
        raise UserError(
            f"a rule rests on {metric}, which the evaluation of {evaluation.model_fingerprint or 'the model'} does not "
            f"have; it has {has}: change the rule, or evaluate with another task"
        ) from None
