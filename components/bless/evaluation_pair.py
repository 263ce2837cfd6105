"""The evaluations of the challenger and of a version that it is compared with, and the significance of differences."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from seqline.artifacts.evaluation import Comparison, Evaluation, MetricValue, Slice, read_evaluation
from seqline.artifacts.human_evaluation import HUMAN_METRICS, HumanEvaluation
from seqline.errors import UserError
from seqline.metrics.metrics import METRICS, RANKINGS, find_metric
from seqline.metrics.resampling import bootstrap, compare, interval
from seqline.metrics.statistics import SLICES, read_statistics, sentence_scores


@dataclass(frozen=True)
class EvaluationPair:
    """Two evaluations on the same test set.

    The version is the champion; for a rule against the best version so far it stands in the champion's place.

    Attributes:
        challenger: Of the model that was just trained.
        champion: Of the live version; None where there is none, it is the challenger itself, or it cannot be evaluated.
        problem: Why an existing champion cannot be evaluated; empty otherwise.
        champion_folder: Folder of the champion's evaluation; None without a champion.
        human: Metrics of human evaluation by name.
        human_problem: Why a metric of human evaluation is missing.
        same: Whether the champion is the challenger itself.
        folder: Folder of the challenger's evaluation; None in tests of values alone.
    """

    challenger: Evaluation
    champion: Evaluation | None
    problem: str = ""
    champion_folder: Path | None = None
    human: dict[str, MetricValue] = field(default_factory=dict)
    human_problem: str = "there is no human evaluation"
    same: bool = False
    folder: Path | None = None

    @property
    def folders(self) -> tuple[Path, Path] | None:
        """Folders of the champion's evaluation and the challenger's; None without a champion."""
        return (self.champion_folder, self.folder) if self.champion_folder and self.folder else None

    @property
    def is_one_model(self) -> bool:
        """Whether challenger and champion are the same model. An empty fingerprint is no model's."""
        theirs = self.champion.model_fingerprint if self.champion else ""
        return self.same or bool(theirs and theirs == self.challenger.model_fingerprint)

    def challenger_value(self, metric: str) -> MetricValue | None:
        """Returns the challenger's value of a metric; None for a metric of human evaluation that is missing.

        Args:
            metric: The metric's name.

        Raises:
            UserError: If the evaluation lacks the metric.
        """
        if metric in HUMAN_METRICS:
            return self.human.get(metric)
        return _value(self.challenger, metric)

    def champion_value(self, metric: str) -> MetricValue:
        """Returns the champion's value of a metric, measured in the same way as the challenger's.

        Args:
            metric: The metric's name.

        Raises:
            UserError: If the evaluation lacks the metric, or the two were measured in different ways.
        """
        assert self.champion is not None  # noqa: S101 (callers check)
        ours, theirs = _value(self.challenger, metric), _value(self.champion, metric)
        if ours.signature != theirs.signature:
            raise UserError(
                f"{find_metric(metric).label} of challenger and champion were measured differently ({ours.signature} "
                f"and {theirs.signature}): evaluate both with the same version of Seqline"
            )
        return theirs

    @property
    def is_first(self) -> bool:
        """Whether there is no version to compare with."""
        return self.champion is None and not self.problem and not self.same

    def slices(self, slicing: str) -> list[tuple[Slice, Slice | None]]:
        """Returns the challenger's slices of at least `min_slice_size` sentences, each with the champion's.

        Args:
            slicing: length, slice, terms, or all.
        """
        min_size = max(1, self.challenger.min_slice_size)
        return [
            (ours, theirs)
            for ours, theirs in self.all_slices
            if slicing in (ours.slicing, "all") and ours.sentences >= min_size
        ]

    @property
    def all_slices(self) -> list[tuple[Slice, Slice | None]]:
        """The challenger's slices, each with the champion's; None where the champion has no such slice."""
        theirs = {(one.slicing, one.name): one for one in self.champion.slices} if self.champion else {}
        return [(one, theirs.get((one.slicing, one.name))) for one in self.challenger.slices]

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """The differences in every metric that was counted on both, by the metric's name."""
        return self._compare(self._shared_metrics, None) if self.champion else {}

    @cached_property
    def scores(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Sentence-level scores of shape (sentences,), the champion's and the challenger's; None without a champion."""
        if self.folders is None:
            return None
        metric = RANKINGS[self.challenger.task]
        counter = METRICS[metric].counts(self.challenger.language)
        champion, challenger = (sentence_scores(counter, read_statistics(one, metric)) for one in self.folders)
        return champion, challenger

    def compare_slice(self, metric: str, one: Slice) -> Comparison:
        """Returns the difference in one slice.

        Args:
            metric: The metric's name.
            one: The challenger's slice.
        """
        return self._compare([metric], self.challenger.slices.index(one))[metric]

    def slice_interval(self, metric: str, one: Slice) -> tuple[float, float] | None:
        """Returns the 95% interval of the challenger's value in one slice; None where the counts are missing.

        Args:
            metric: The metric's name.
            one: The challenger's slice.
        """
        if self.folder is None:
            return None
        rows = read_statistics(self.folder, SLICES)[:, self.challenger.slices.index(one)]
        counts = read_statistics(self.folder, metric)[rows]
        return interval(find_metric(metric).counts(self.challenger.language).score(bootstrap([counts])[0]))

    def with_human_evaluation(self, human: HumanEvaluation) -> "EvaluationPair":
        """Adds the metrics of a human evaluation, if it compares these two models.

        Args:
            human: The human evaluation.

        Returns:
            The same pair with the metrics, or with the reason why they do not apply.
        """
        if self.champion is None:
            problem = "the human evaluation given compares with a champion, and there is no champion"
            return replace(self, human_problem=problem)
        models = (self.challenger.model_fingerprint, self.champion.model_fingerprint)
        if (human.challenger, human.champion, human.corpus) != (*models, self.challenger.corpus_fingerprint):
            problem = (
                f"the human evaluation given compares the models {human.challenger} and {human.champion}, not "
                f"{models[0]} and {models[1]} on this test set"
            )
            return replace(self, human_problem=problem)
        return replace(self, human=human.metrics, human_problem="the human evaluation has too few ratings for it")

    @property
    def _shared_metrics(self) -> list[str]:
        ours, theirs = self.challenger.metrics, (self.champion or self.challenger).metrics
        return [
            name
            for name, value in ours.items()
            if find_metric(name).counter and name in theirs and theirs[name].signature == value.signature
        ]

    def _compare(self, metrics: list[str], index: int | None) -> dict[str, Comparison]:
        """Compares the models on the slice with an index, or on the whole test set."""
        if self.folders is None:
            return {}
        # A slice fits into memory; the counts of the whole test set stay memory-mapped.
        rows = slice(None) if index is None else read_statistics(self.folders[1], SLICES)[:, index]
        before, after = ([read_statistics(folder, metric)[rows] for metric in metrics] for folder in self.folders)
        counters = [find_metric(metric).counts(self.challenger.language) for metric in metrics]
        return dict(zip(metrics, compare(counters, before, after), strict=True))


def read_pair(challenger: Path, champion: Path) -> EvaluationPair:
    """Reads two evaluations, and checks that they can be compared.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version, or of the best one; absent where there is nothing to measure.

    Raises:
        UserError: If the challenger was not evaluated, or the two were evaluated on different test sets.
    """
    ours, theirs = read_evaluation(challenger), read_evaluation(champion)
    if ours.absent:
        raise UserError(f"{challenger} was made without a model: there is no challenger to bless")
    if theirs.absent:
        return EvaluationPair(ours, None, theirs.problem, same=theirs.standing == "same", folder=challenger)
    for name in ("corpus_fingerprint", "sentences", "task"):
        if getattr(ours, name) != getattr(theirs, name):
            raise UserError(
                f"challenger and champion were evaluated on different test sets ({name} {getattr(ours, name)} and "
                f"{getattr(theirs, name)}): evaluate both on the same corpus"
            )
    return EvaluationPair(ours, theirs, champion_folder=champion, folder=challenger)


def is_champion(best: Path) -> bool:
    """Whether the best version so far is the champion, so that its evaluation is the champion's.

    Args:
        best: The evaluation of the best version.
    """
    return read_evaluation(best).standing == "champion"


def _value(evaluation: Evaluation, metric: str) -> MetricValue:
    try:
        return evaluation.metrics[metric]
    except KeyError:
        available = ", ".join(evaluation.metrics) or "no metrics"
        raise UserError(
            f"a rule needs {metric}, which the evaluation of {evaluation.model_fingerprint or 'the model'} does not "
            f"have; it has {available}: change the rule, or evaluate with another task"
        ) from None
