"""The gate's rules: what a challenger must meet to go live.

A rule is an object with a metric and exactly one requirement:

    {"metric": "bleu", "minimum": 20}                      the value is at least this
    {"metric": "latency_p95", "maximum": 200}              the value is at most this
    {"metric": "bleu", "margin": 0.5}                      the loss to the champion is at most this
    {"metric": "bleu", "gain": 0.2, "significance": 0.05}  the gain over the champion is at least this and significant

Optional keys: `significance` (with margin or gain), the p-value below which a difference is significant, and `test`;
`slices` (not with gain) applies the rule to every slice; `confident` (with minimum or maximum) applies it to the worse
end of the 95% confidence interval. The metric `headline` is the task's own: BLEU, ROUGE-Lsum, token F1 or chrF++.
"""

from typing import Literal

from pydantic import Field, model_validator

from seqline.metrics.metrics import HEADLINES, METRICS, Metric, find_metric
from seqline.schema.options import Part, refusing

HEADLINE = "headline"
KINDS = ("minimum", "maximum", "margin", "gain")


class Rule(Part):
    """One rule; exactly one of minimum, maximum, margin and gain is set."""

    metric: str = Field(description="Name of the metric, or headline for the task's own.")
    minimum: float | None = Field(None, description="Lowest value that passes.")
    maximum: float | None = Field(None, description="Highest value that passes.")
    margin: float | None = Field(None, ge=0, description="Tolerated loss to the champion, on the metric's own scale.")
    gain: float | None = Field(None, ge=0, description="Smallest improvement over the champion that passes.")
    significance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="With margin, only a loss with a p-value below this fails; with gain, only an improvement with one "
        "passes; 0 for no test.",
    )
    test: Literal["bootstrap", "randomization"] = Field("bootstrap", description="Test of significance.")
    slices: Literal["", "length", "slice", "terms", "all"] = Field(
        "", description="Kind of slices that each must pass; empty for the whole test set."
    )
    confident: bool = Field(False, description="Whether the worse end of the 95% confidence interval must pass.")

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a rule needs exactly one of {', '.join(KINDS)}, not {' and '.join(kinds) or 'none'}")
        with refusing():
            direction = True if self.metric == HEADLINE else find_metric(self.metric).higher_is_better
        compared = self.kind in {"margin", "gain"}
        for wrong, reason in (
            (compared and direction is None, f"{self.metric} has no better side: set a minimum or a maximum"),
            (not compared and self.significance, f"significance goes with margin or gain, not with {self.kind}"),
            (compared and self.confident, f"confident goes with minimum or maximum, not with {self.kind}"),
            (self.kind == "gain" and self.slices, "slices do not go with gain"),
        ):
            if wrong:
                raise ValueError(reason)
        return self

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
        return METRICS[HEADLINES[task] if self.metric == HEADLINE else self.metric]

    def describe(self, metric: Metric) -> str:
        """Returns the rule in words.

        Args:
            metric: The metric, from `metric_of`.
        """
        requirement = {
            "minimum": f"at least {self.value:g}",
            "maximum": f"at most {self.value:g}",
            "margin": f"within {self.value:g} of the champion's",
            "gain": f"better than the champion's by {self.value:g}",
        }[self.kind]
        where = {"": "", "all": " in every slice"}.get(self.slices, f" in every slice by {self.slices}")
        interval = ", interval included" if self.confident else ""
        significance = f", p < {self.significance:g}" if self.significance else ""
        return f"{metric.label} {requirement}{where}{interval}{significance}"


DEFAULT = (Rule(metric="empty_outputs", maximum=50), Rule(metric=HEADLINE, margin=0.5))
"""The rules of an empty gate: without rules every model would pass."""
