"""The rules of monitoring: which size of change is an alarm, and what follows from it.

A rule is an object with a figure, what it is compared with, one limit, and what to do:

    {"figure": "token_distance", "against": "training", "above": 0.15, "then": "retrain"}
    {"figure": "unknown_share", "against": "training", "above": 0.02}       2 percentage points more than in training
    {"figure": "empty", "above": 0.02}                                      more than 2% of the outputs
    {"figure": "score", "against": "previous", "below": -0.05}              a fall from one window to the next
    {"figure": "latency_p95", "above": 500}                                 in milliseconds

Live traffic always differs somewhat from the training corpus, and with enough requests every difference can be shown.
So an alarm is not a difference, but one beyond the limit that the rule names, proven by a sequential test.
"""

from typing import Literal

from pydantic import Field, model_validator

from seqline.components.monitor.figures import Against, Figure, find_figure
from seqline.schema.options import Part, refusing

IN_WORDS = {"": "", "training": " against training", "previous": " against the previous window"}


class AlarmRule(Part):
    """One rule; exactly one of above and below is set."""

    figure: str = Field(description="Name of the figure; docs/monitoring.md lists them.")
    against: Against = Field(
        "",
        description="What the figure is compared with: the model's training corpus, or the previous window; empty for "
        "the figure itself.",
    )
    above: float | None = Field(None, description="An alarm if the figure, or its difference, is above this.")
    below: float | None = Field(None, description="An alarm if the figure, or its difference, is below this.")
    then: Literal["notify", "retrain"] = Field(
        "notify", description="What to do in an alarm: notify, or also start a retraining run."
    )

    @model_validator(mode="after")
    def _check(self) -> "AlarmRule":
        with refusing():
            figure = find_figure(self.figure)
        if (self.above is None) == (self.below is None):
            raise ValueError("a rule needs either above or below")
        if self.against not in figure.against:
            choices = " or ".join(repr(one) for one in figure.against)
            raise ValueError(f"against: {figure.name} is compared with {choices}, not with {self.against!r}")
        if figure.kind == "distance" and (self.above is None or not 0 < self.above < 1):
            raise ValueError(f"above: {figure.name} is a distance: set a limit above 0 and below 1")
        if figure.kind == "percentile" and (self.above is None or self.above <= 0):
            raise ValueError(f"above: {figure.name} needs a limit above 0")
        if figure.kind == "mean" and not self._reachable(figure):
            raise ValueError(
                f"{figure.name} is between {figure.least:g} and {figure.most:g}, so the limit {self.limit:g} has no "
                "effect"
            )
        return self

    def _reachable(self, figure: Figure) -> bool:
        width = figure.most - figure.least
        least, most = (-width, width) if self.against else (figure.least, figure.most)
        return least <= self.limit < most if self.above is not None else least < self.limit <= most

    @property
    def limit(self) -> float:
        """The number of the rule."""
        return float(self.above if self.above is not None else self.below or 0.0)

    @property
    def key(self) -> str:
        """What tells its evidence from that of other rules."""
        return (
            f"{self.figure} {self.against or 'itself'} {'above' if self.above is not None else 'below'} {self.limit!r}"
        )

    def describe(self) -> str:
        """Returns the rule in words."""
        side = "above" if self.above is not None else "below"
        return f"{find_figure(self.figure).label}{IN_WORDS[self.against]} {side} {self.limit:g}"


DEFAULT = (
    AlarmRule(figure="token_distance", against="training", above=0.2, then="retrain"),
    AlarmRule(figure="length_distance", against="training", above=0.4),
    AlarmRule(figure="unusual_texts", against="training", above=0.03, then="retrain"),
    AlarmRule(figure="unknown_share", against="training", above=0.02),
    AlarmRule(figure="other_script", against="training", above=0.02),
    AlarmRule(figure="other_language", against="training", above=0.03),
    AlarmRule(figure="empty", above=0.02),
    AlarmRule(figure="truncated", above=0.05),
    AlarmRule(figure="copied", against="previous", above=0.1),
    AlarmRule(figure="score", against="previous", below=-0.1),
    AlarmRule(figure="rating", below=-0.2),
)
"""The rules of an empty list; `python -m benchmarks.monitoring` measures what they find, and their false alarms."""
