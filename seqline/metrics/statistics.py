"""Counts the test text stretch by stretch, and scores the sums.

evaluation/statistics/
  <metric>.npy   numbers of shape (sentences, columns) that add up to the metric's figure
  slices.npy     whether each sentence belongs to each slice, in the order of evaluation.json

They let *bless* compare two models on the same sentences without their texts.
"""

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from seqline.artifacts.evaluation import Figure, Slice
from seqline.metrics.batch import Batch
from seqline.metrics.counters import Counter
from seqline.metrics.metrics import HEADLINES, Metric, counted
from seqline.metrics.resampling import bootstrap, interval
from seqline.metrics.slices import Membership
from seqline.metrics.test_set import Row

FOLDER = "statistics"
SLICES = "slices"


class Tally:
    """The counts of one evaluation, in files that the system may write out when it likes."""

    def __init__(self, evaluation: Path, task: str, language: str, sentences: int, slices: list[Membership]) -> None:
        """Makes the files.

        Args:
            evaluation: The evaluation's folder.
            task: What the model was trained for.
            language: Code of the target language.
            sentences: Pairs in the test text.
            slices: Which slices it has.
        """
        self.task, self.slices, self.done = task, slices, 0
        self._folder = evaluation / FOLDER
        self._folder.mkdir()
        self._sentences = sentences
        self._language = language
        self._metrics: list[tuple[Metric, Counter]] = []
        self._statistics: list[np.ndarray] = []
        self._members = self._file(SLICES, np.dtype(bool), len(slices))

    def add(self, rows: list[Row], batch: Batch) -> None:
        """Counts the next stretch.

        Args:
            rows: Its rows.
            batch: The same with the model's outputs.
        """
        if not self._metrics:
            metrics = [one for one in counted(self.task) if one.name != "perplexity" or batch.likelihoods is not None]
            self._metrics = [(metric, metric.counts(self._language)) for metric in metrics]
        end = self.done + len(rows)
        for place, (metric, counter) in enumerate(self._metrics):
            numbers = counter.count(batch)
            if place == len(self._statistics):
                self._statistics.append(self._file(metric.name, numbers.dtype, counter.columns))
            self._statistics[place][self.done : end] = numbers
        for place, one in enumerate(self.slices):
            self._members[self.done : end, place] = [one.has(row) for row in rows]
        self.done = end

    def figures(self) -> dict[str, Figure]:
        """The figures of the whole text with their 95% intervals, by the metric's name."""
        found = {}
        for (metric, counter), numbers, drawn in zip(
            self._metrics, self._statistics, bootstrap(self._statistics), strict=True
        ):
            value = counter.score(numbers.sum(axis=0, keepdims=True, dtype=np.float64))[0]
            low, high = interval(counter.score(drawn))
            found[metric.name] = Figure(float(value), metric.higher_is_better, counter.signature, low, high)
        return found

    def sliced(self) -> list[Slice]:
        """The figures of each slice; the headline's with its interval."""
        found = []
        for place, one in enumerate(self.slices):
            members = np.flatnonzero(self._members[:, place])
            metrics = {}
            for (metric, counter), numbers in zip(
                self._metrics if len(members) else [], self._statistics, strict=False
            ):
                chosen = numbers[members]
                value = counter.score(chosen.sum(axis=0, keepdims=True, dtype=np.float64))[0]
                ends: tuple[float, float] | tuple[None, None] = (None, None)
                if metric.name == HEADLINES[self.task]:
                    ends = interval(counter.score(bootstrap([chosen])[0]))
                metrics[metric.name] = Figure(float(value), metric.higher_is_better, counter.signature, *ends)
            found.append(Slice(one.slicing, one.name, len(members), metrics))
        return found

    def rank(self, metric: str) -> np.ndarray:
        """One metric's score of every sentence alone.

        Args:
            metric: Its name, one that was counted.
        """
        for (counted_metric, counter), numbers in zip(self._metrics, self._statistics, strict=True):
            if counted_metric.name == metric:
                return sentence_scores(counter, numbers)
        raise KeyError(metric)

    def _file(self, name: str, kind: np.dtype, columns: int) -> np.ndarray:
        return open_memmap(self._folder / f"{name}.npy", mode="w+", dtype=kind, shape=(self._sentences, columns))


def sentence_scores(counter: Counter, numbers: np.ndarray) -> np.ndarray:
    """A metric's score of every sentence alone.

    Args:
        counter: The metric.
        numbers: Of shape (sentences, columns).
    """
    return counter.score(np.asarray(numbers, np.float64))


def read_statistics(evaluation: Path, metric: str) -> np.ndarray:
    """A metric's numbers of every sentence, of shape (sentences, columns); read from disk where they are used.

    Args:
        evaluation: The evaluation's folder.
        metric: The metric's name, or `SLICES`.
    """
    return np.load(evaluation / FOLDER / f"{metric}.npy", mmap_mode="r")
