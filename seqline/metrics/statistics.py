"""Counts the test set chunk by chunk, and scores the sums.

evaluation/statistics/
  <metric>.npy   counts of shape (sentences, columns) whose sums give the metric's value
  slices.npy     whether each sentence belongs to each slice, in the order of evaluation.json

With them *bless* compares two models on the same sentences without their texts.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from seqline.artifacts.evaluation import MetricValue, Slice
from seqline.metrics.batch import Batch
from seqline.metrics.counters import Counter
from seqline.metrics.metrics import HEADLINES, Metric, counted, find_metric
from seqline.metrics.resampling import bootstrap, interval
from seqline.metrics.slices import Membership
from seqline.metrics.test_set import Row

FOLDER = "statistics"
SLICES = "slices"


class Tally:
    """The counts of one evaluation, in memory-mapped files."""

    def __init__(
        self,
        evaluation: Path,
        task: str,
        language: str,
        sentences: int,
        slices: list[Membership],
        added: Sequence[str] = (),
    ) -> None:
        """Creates the files.

        Args:
            evaluation: The evaluation's folder.
            task: The task that the model was trained for.
            language: Code of the target language.
            sentences: Pairs in the test set.
            slices: Its slices.
            added: Metrics of plugins, which are counted besides the task's own.
        """
        self.task, self.slices, self.done = task, slices, 0
        self._folder = evaluation / FOLDER
        self._folder.mkdir()
        self._sentences = sentences
        self._language, self._added = language, [find_metric(name) for name in dict.fromkeys(added)]
        self._metrics: list[tuple[Metric, Counter]] = []
        self._statistics: list[np.ndarray] = []
        self._members = self._file(SLICES, np.dtype(bool), len(slices))

    def add(self, rows: list[Row], batch: Batch) -> None:
        """Counts the next chunk.

        Args:
            rows: Its rows.
            batch: Their texts with the model's outputs.
        """
        if not self._metrics:
            left_out = "perplexity" if batch.log_probabilities is None else ""
            own = counted(self.task)
            metrics = [metric for metric in own if metric.name != left_out]
            metrics += [metric for metric in self._added if metric not in own]
            self._metrics = [(metric, metric.counts(self._language)) for metric in metrics]
        end = self.done + len(rows)
        for index, (metric, counter) in enumerate(self._metrics):
            counts = counter.count(batch)
            if index == len(self._statistics):
                self._statistics.append(self._file(metric.name, counts.dtype, counter.columns))
            self._statistics[index][self.done : end] = counts
        for index, one in enumerate(self.slices):
            self._members[self.done : end, index] = [one.has(row) for row in rows]
        self.done = end

    def metrics(self) -> dict[str, MetricValue]:
        """Returns the metrics of the whole test set with 95% intervals, by name."""
        found = {}
        for (metric, counter), counts, drawn in zip(
            self._metrics, self._statistics, bootstrap(self._statistics), strict=True
        ):
            value = counter.score(counts.sum(axis=0, keepdims=True, dtype=np.float64))[0]
            low, high = interval(counter.score(drawn))
            found[metric.name] = MetricValue(float(value), metric.higher_is_better, counter.signature, low, high)
        return found

    def sliced(self) -> list[Slice]:
        """Returns the metrics of each slice; the headline metric has an interval."""
        found = []
        for index, one in enumerate(self.slices):
            members = np.flatnonzero(self._members[:, index])
            metrics = {}
            for (metric, counter), counts in zip(self._metrics if len(members) else [], self._statistics, strict=False):
                chosen = counts[members]
                value = counter.score(chosen.sum(axis=0, keepdims=True, dtype=np.float64))[0]
                ends: tuple[float, float] | tuple[None, None] = (None, None)
                if metric.name == HEADLINES[self.task]:
                    ends = interval(counter.score(bootstrap([chosen])[0]))
                metrics[metric.name] = MetricValue(float(value), metric.higher_is_better, counter.signature, *ends)
            found.append(Slice(one.slicing, one.name, len(members), metrics))
        return found

    def sentence_scores(self, metric: str) -> np.ndarray:
        """Returns the sentence-level scores of a metric, of shape (sentences,).

        Args:
            metric: The name of a counted metric.
        """
        for (counted_metric, counter), counts in zip(self._metrics, self._statistics, strict=True):
            if counted_metric.name == metric:
                return sentence_scores(counter, counts)
        raise KeyError(metric)

    def _file(self, name: str, kind: np.dtype, columns: int) -> np.ndarray:
        return open_memmap(self._folder / f"{name}.npy", mode="w+", dtype=kind, shape=(self._sentences, columns))


def sentence_scores(counter: Counter, counts: np.ndarray) -> np.ndarray:
    """Returns the sentence-level scores of a metric, of shape (sentences,).

    Args:
        counter: The metric.
        counts: Of shape (sentences, columns).
    """
    return counter.score(np.asarray(counts, np.float64))


def read_statistics(evaluation: Path, metric: str) -> np.ndarray:
    """Returns a metric's counts of every sentence, memory-mapped, of shape (sentences, columns).

    Args:
        evaluation: The evaluation's folder.
        metric: The metric's name, or `SLICES`.
    """
    return np.load(evaluation / FOLDER / f"{metric}.npy", mmap_mode="r")
