"""The gate's rules: what a challenger must meet to go live.

A rule is an object with a metric and exactly one requirement:

    {"metric": "bleu", "minimum": 20}                      the value is at least this
    {"metric": "latency_p95", "maximum": 200}              the value is at most this
    {"metric": "bleu", "margin": 0.5}                      the loss to the champion is at most this
    {"metric": "bleu", "gain": 0.2, "significance": 0.05}  the gain over the champion is at least this and significant

Optional keys:

- `against` (with margin or gain): the champion, the best version so far, or the baseline: the pretrained checkpoint
  that training started from.
- `confident`: the worse end of the 95% interval must meet the requirement. With margin or gain it is the interval of
  the difference: a margin is then met only by a model that is shown to lose no more.
- `significance` and `test` (with margin or gain): the p-value below which a difference counts.
- `slices` (not with gain): every slice must meet the requirement.

The metric `headline` is the task's own: BLEU, ROUGE-Lsum, token F1 or chrF++. A rule that no pair of evaluations could
meet or miss is refused when it is read, not after training.
"""

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from seqline.artifacts.human_evaluation import HUMAN_METRICS
from seqline.metrics.draws import DRAWS, smallest_p_value
from seqline.metrics.metrics import HEADLINES, Metric, find_metric
from seqline.schema.options import Part, refusing

HEADLINE = "headline"
KINDS = ("minimum", "maximum", "margin", "gain")
# Units at the end of a metric's label, and how they follow a number.
UNITS = {", %": "%", ", ms": " ms", ", MB": " MB"}
# What a margin or a gain compares with, in words.
AGAINST = {"champion": "the champion", "best": "the best version so far", "baseline": "the pretrained baseline"}
ITS = {"champion": "the champion's", "best": "the best version's", "baseline": "the pretrained baseline's"}


class Rule(Part):
    """One rule; exactly one of minimum, maximum, margin and gain is set."""

    metric: str = Field(description="Name of the metric, or headline for the task's own.")
    minimum: float | None = Field(None, description="Lowest value that passes.")
    maximum: float | None = Field(None, description="Highest value that passes.")
    margin: float | None = Field(
        None, ge=0, description="Tolerated loss to the version compared with, on the metric's own scale."
    )
    gain: float | None = Field(
        None, ge=0, description="Smallest improvement over the version compared with that passes."
    )
    against: Literal["champion", "best", "baseline"] = Field(
        "champion",
        description="What margin or gain compares with: the champion, the best version so far, or the pretrained "
        "checkpoint that training started from (baseline).",
    )
    significance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="With margin, only a loss with a p-value below this fails; with gain, only an improvement with one "
        "passes; 0 for no test. A small test set shows no loss: prefer confident for a margin.",
    )
    test: Literal["bootstrap", "randomization"] = Field("randomization", description="Test of significance.")
    slices: Literal["", "length", "slice", "terms", "all"] = Field(
        "", description="Kind of slices that each must pass; empty for the whole test set."
    )
    confident: bool = Field(
        False,
        description="Whether the worse end of the 95% confidence interval must pass: of the value, or with margin and "
        "gain of the difference.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a rule needs exactly one of {', '.join(KINDS)}, not {' and '.join(kinds) or 'none'}")
        with refusing():
            metric = None if self.metric == HEADLINE else find_metric(self.metric)
        for wrong, reason in self._contradictions(metric):
            if wrong:
                raise ValueError(reason)
        return self

    def _contradictions(self, metric: Metric | None) -> Iterator[tuple[object, str]]:
        """Yields what could be wrong, with the reason; the metric is None for a task's headline."""
        compared, name = self.kind in {"margin", "gain"}, self.metric
        counted = metric is None or bool(metric.counter)
        human = name in HUMAN_METRICS
        directed = metric is None or metric.higher_is_better is not None
        where = "it has one value for the whole test set, and none for a sentence or a slice"
        smallest = smallest_p_value(self.test)
        yield compared and not directed, f"{name} has no better side: set a minimum or a maximum"
        yield compared and human, f"{self.kind}: {name} compares two models itself: set a minimum or a maximum"
        yield not compared and self.significance, f"significance applies to margin or gain, not to {self.kind}"
        yield not compared and self.against != "champion", f"against applies to margin or gain, not to {self.kind}"
        yield self.kind == "gain" and self.slices, "slices cannot be combined with gain"
        yield self.slices and not counted, f"slices: {name} cannot be checked by slice: {where}"
        yield self.significance and not counted, f"significance: {name} cannot be tested: {where}"
        yield (
            0 < self.significance <= smallest,
            f"significance: {DRAWS[self.test]:,} draws of {self.test} show no p-value below 1/{DRAWS[self.test] + 1}: "
            f"{self.significance:g} never applies; the smallest value that works is {1 / DRAWS[self.test]:g}",
        )
        yield self.confident and self.significance, "confident and significance are two different tests: set one"
        yield (
            self.confident and not counted and not human,
            f"confident: {name} has no confidence interval: {where}",
        )

    @property
    def kind(self) -> str:
        """The requirement: minimum, maximum, margin or gain."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def value(self) -> float:
        """The number of the requirement."""
        return float(getattr(self, self.kind))

    def metric_of(self, task: str) -> Metric:
        """Returns the metric.

        Args:
            task: The task that the challenger was trained for.
        """
        return find_metric(HEADLINES[task] if self.metric == HEADLINE else self.metric)

    def describe(self, metric: Metric) -> str:
        """Returns the rule in words.

        Args:
            metric: The metric, from `metric_of`.
        """
        other = ITS[self.against]
        # A label may end with its unit: "Latency, median, ms", "Empty outputs, %".
        end = next((end for end in UNITS if metric.label.endswith(end)), "")
        label, unit = metric.label.removesuffix(end), UNITS.get(end, "")
        number = f"{self.value:g}{unit}"
        requirement = {
            "minimum": f"at least {number}",
            "maximum": f"at most {number}",
            "margin": f"within {number} of {other}",
            "gain": f"better than {other} by {number}",
        }[self.kind]
        where = {"": "", "all": " in every slice"}.get(self.slices, f" in every slice by {self.slices}")
        interval = ", with 95% confidence" if self.confident else ""
        significance = f", p < {self.significance:g}" if self.significance else ""
        return f"{label} {requirement}{where}{interval}{significance}"

    def protects(self, metric: Metric) -> bool:
        """Whether it limits how bad a metric may be: `bleu` with a minimum above 0 does, with a maximum it does not.

        Args:
            metric: The metric, from `metric_of`.
        """
        if metric.higher_is_better:
            return self.kind == "minimum" and self.value > 0  # no metric is below 0
        bounded = "gap" in metric.name or metric.name.endswith("_outputs")
        worst = 100 if bounded else math.inf
        return metric.higher_is_better is False and self.kind == "maximum" and self.value < worst


DEFAULT_MARGIN = 2.0
DEFAULT = (
    Rule(metric="empty_outputs", maximum=50),
    Rule(metric=HEADLINE, margin=DEFAULT_MARGIN, confident=True),
    Rule(metric=HEADLINE, margin=DEFAULT_MARGIN, confident=True, against="best"),
)
"""The rules of an empty gate: without rules every model would pass. See docs/gate.md for the choice of the margin."""
NO_WORSE = Rule(metric=HEADLINE, margin=0.0, against="baseline")
"""One more, where training started from a pretrained checkpoint: fine-tuning must not make it worse."""
