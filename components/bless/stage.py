"""The bless stage: two evaluations in, a decision out."""

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

from components.bless.decision import Decision, write_decision
from components.bless.rules import Limit, NoRegression, Rule, judge
from components.errors import UserError
from components.evaluate.evaluation import Evaluation, Figure, read_evaluation, read_sentences
from components.evaluate.metrics import find_metric

log = logging.getLogger(__name__)

SAMPLES = 5


@dataclass(frozen=True)
class Options:
    """The gate's rules.

    Attributes:
        limits: The worst figure allowed by metric, such as {"bleu": 20, "empty_outputs": 1}. By default a
            model that mostly says nothing is held back.
        metric: The metric in which the challenger must not fall behind the champion.
        margin: The loss in that metric that is tolerated, on its own scale.
    """

    limits: dict[str, float] = field(default_factory=lambda: {"empty_outputs": 50.0})
    metric: str = "bleu"
    margin: float = 0.5

    def __post_init__(self) -> None:
        for name, value in self.limits.items():
            find_metric(name, "limits")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"limits: {name} must be a number, not {value!r}")
        find_metric(self.metric, "metric")
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise UserError(f"margin must be a number of at least 0, not {self.margin}")

    def rules(self) -> list[Rule]:
        """The rules in the order they are judged and reported."""
        limits: list[Rule] = [Limit(name, self.limits[name]) for name in sorted(self.limits)]
        return [*limits, NoRegression(self.metric, self.margin)]


def bless(challenger: Path, champion: Path, decision: Path, options: Options = Options()) -> Decision:
    """Decides whether the challenger may go live.

    decision/
      decision.json   the verdict, every rule with figure, limit and reason, both models' figures, samples

    Every rule must pass. A challenger that does not pass is no error: the decision says so, and why.

    Args:
        challenger: The evaluation of the model that was just trained.
        champion: The evaluation of the live version; absent where there is none.
        decision: The folder to write.
        options: The gate's rules.

    Returns:
        The decision.

    Raises:
        UserError: If the challenger was not evaluated, or the two were measured on different test texts or in
            different ways: then nothing is decided.
    """
    ours = read_evaluation(challenger)
    if ours.absent:
        raise UserError(f"{challenger} says that there was no model to evaluate: there is no challenger to judge")
    theirs = read_evaluation(champion)
    verdicts = judge(options.rules(), ours, None if theirs.absent else theirs)
    made = Decision(
        blessed=all(verdict.passed for verdict in verdicts),
        model_fingerprint=ours.model_fingerprint,
        rules=verdicts,
        challenger=_finite(ours),
        champion=None if theirs.absent else _finite(theirs),
        samples=list(read_sentences(challenger, SAMPLES)),
    )
    for verdict in verdicts:
        log.info("%s  %s", "passed" if verdict.passed else "FAILED", verdict.reason)
    log.info("the challenger is %s", "blessed" if made.blessed else "not blessed")
    write_decision(decision, made)
    return made


def _finite(evaluation: Evaluation) -> dict[str, Figure]:
    """The figures that are numbers: JSON has no others, and a rule that rests on one has said so."""
    return {name: figure for name, figure in evaluation.metrics.items() if math.isfinite(figure.value)}
