"""The registry of metrics: name, label, direction and tasks of each; its own, and those of plugins.

Reference libraries are imported only when a metric is counted: stages that only compare values do not need them.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from seqline.errors import UserError
from seqline.plugins import MetricPlugin
from seqline.plugins.registry import METRICS as PLUGINS

if TYPE_CHECKING:
    from seqline.metrics.counters import Counter

Task = Literal["translation", "summarization", "question_answering", "text_generation"]
TASKS: tuple[Task, ...] = get_args(Task)
EVERY = frozenset(TASKS)
# The main metric of each task: the default gate compares it, and gap metrics are computed from it.
HEADLINES: dict[str, str] = {
    "translation": "bleu",
    "summarization": "rougeLsum",
    "question_answering": "token_f1",
    "text_generation": "chrf",
}
# The metric that ranks single sentences; BLEU is unreliable on one sentence.
RANKINGS: dict[str, str] = {**HEADLINES, "translation": "chrf"}


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Its key in artifacts and parameters.
        label: Its name in reports.
        higher_is_better: Its direction; None where neither is better, and rules can only set limits.
        tasks: The tasks it applies to.
        counter: Its implementation, as module:name and arguments; empty where it is not counted on texts but measured
            on the model, computed from slices or given by raters.
    """

    name: str
    label: str
    higher_is_better: bool | None
    tasks: frozenset[Task] = EVERY
    counter: tuple[str, ...] = ()

    def counts(self, language: str) -> "Counter":
        """Creates its counter; imports the reference library.

        Args:
            language: Code of the target language, such as `de` or `zh-Hans`.
        """
        target, *arguments = self.counter
        module, _, name = target.partition(":")
        return getattr(importlib.import_module(f"seqline.metrics.{module}"), name)(*arguments, language)


@dataclass(frozen=True)
class AddedMetric(Metric):
    """A metric of a plugin, which is measured where a run names it.

    Attributes:
        plugin: Its declaration.
        package: Name and version of its package.
    """

    plugin: MetricPlugin | None = None
    package: str = ""

    def counts(self, language: str) -> "Counter":
        """Creates its counter.

        Args:
            language: Code of the target language.

        Raises:
            UserError: If it does not fit its contract.
        """
        from seqline.metrics.added import counter_of

        assert self.plugin is not None  # noqa: S101 (find_metric sets it)
        return counter_of(self.plugin, self.package, language)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("bleu", "BLEU", True, frozenset({"translation"}), ("sacre:Bleu",)),
        Metric("chrf", "chrF++", True, frozenset({"translation", "summarization", "text_generation"}), ("sacre:Chrf",)),
        Metric("ter", "TER", False, frozenset({"translation"}), ("sacre:Ter",)),
        Metric("rouge1", "ROUGE-1", True, EVERY, ("rouge:Rouge", "rouge1")),
        Metric("rouge2", "ROUGE-2", True, EVERY, ("rouge:Rouge", "rouge2")),
        Metric("rougeL", "ROUGE-L", True, EVERY, ("rouge:Rouge", "rougeL")),
        Metric("rougeLsum", "ROUGE-Lsum", True, EVERY, ("rouge:Rouge", "rougeLsum")),
        Metric("exact_match", "Exact match, %", True, EVERY, ("squad:exact_match",)),
        Metric("token_f1", "Token F1, %", True, EVERY, ("squad:token_f1",)),
        Metric("perplexity", "Perplexity", False, EVERY, ("anomalies:Perplexity",)),
        Metric("length_ratio", "Length ratio", None, EVERY, ("anomalies:length_ratio",)),
        Metric("empty_outputs", "Empty outputs, %", False, EVERY, ("anomalies:empty",)),
        Metric("copied_outputs", "Copied outputs, %", False, EVERY, ("anomalies:copied",)),
        Metric("unknown_outputs", "Outputs with unknown tokens, %", False, EVERY, ("anomalies:unknown",)),
        Metric("gap_length", "Gap between lengths", False),
        Metric("gap_slice", "Gap between slices", False),
        Metric("gap_terms", "Gap between term lists", False),
        Metric("widest_gap", "Widest gap", False),
        Metric("latency_p50", "Latency, median, ms", False),
        Metric("latency_p95", "Latency, 95th percentile, ms", False),
        Metric("throughput", "Sentences per second", True),
        Metric("model_size", "Model size, MB", False),
        Metric("human_preference", "Raters' preference, %", True),
        Metric("human_agreement", "Raters' agreement, alpha", True),
    )
}


def counted(task: str) -> list[Metric]:
    """Returns the metrics that are counted on the texts of a task, in the registry's order.

    Args:
        task: One of `TASKS`.
    """
    return [metric for metric in METRICS.values() if metric.counter and task in metric.tasks]


def find_metric(name: str) -> Metric:
    """Looks up a metric, of a plugin too.

    Args:
        name: The metric's name.

    Raises:
        UserError: If there is no such metric.
    """
    if name in METRICS:
        return METRICS[name]
    plugin = PLUGINS.find(name, METRICS)
    tasks = cast("frozenset[Task]", frozenset(plugin.tasks))
    package = PLUGINS.source(name).distribution
    return AddedMetric(name, plugin.label, plugin.higher_is_better, tasks, ("plugin",), plugin, package)


class Labels(dict[str, str]):
    """Labels by the metric's name; a metric whose plugin is not installed here has its name."""

    def __init__(self) -> None:
        super().__init__({metric.name: metric.label for metric in METRICS.values()})

    def __missing__(self, name: str) -> str:
        try:
            return find_metric(name).label
        except UserError:
            return name
