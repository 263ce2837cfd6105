"""The gate's rules: data that judge a challenger's figures and say why."""

import math
from dataclasses import dataclass

from components.bless.decision import Verdict
from components.errors import UserError
from components.evaluate.evaluation import Evaluation, Figure
from components.evaluate.metrics import METRICS


@dataclass(frozen=True)
class Limit:
    """A figure must not be worse than a fixed value.

    Attributes:
        metric: The metric's name.
        value: The least figure, or the greatest where lower is better.
    """

    metric: str
    value: float

    def judge(self, challenger: Evaluation, champion: Evaluation | None) -> Verdict:
        """Judges the challenger by itself."""
        metric = METRICS[self.metric]
        figure = _figure(challenger, self.metric)
        word = "at least" if metric.higher_is_better else "at most"
        rule = f"{metric.label} {word} {self.value:g}"
        if not math.isfinite(figure.value):
            return Verdict(
                rule,
                None,
                self.value,
                False,
                f"{metric.label}: the challenger's figure is {figure.value}, not a number.",
            )
        passed = _worse_by(figure.value, self.value, metric.higher_is_better) <= 0
        verb = "meets" if passed else "misses"
        reason = f"{metric.label}: {figure.value:.2f} {verb} the limit of {word} {self.value:g}."
        return Verdict(rule, figure.value, self.value, passed, reason)


@dataclass(frozen=True)
class NoRegression:
    """A figure must not be worse than the champion's by more than a margin.

    Attributes:
        metric: The metric's name.
        margin: The loss that is tolerated, on the metric's own scale; 0 or more.
    """

    metric: str
    margin: float

    def judge(self, challenger: Evaluation, champion: Evaluation | None) -> Verdict:
        """Judges the challenger against the champion, where there is one."""
        metric = METRICS[self.metric]
        rule = f"{metric.label} within {self.margin:g} of the champion's"
        figure = _figure(challenger, self.metric)
        if not math.isfinite(figure.value):
            return Verdict(
                rule, None, None, False, f"{metric.label}: the challenger's figure is {figure.value}, not a number."
            )
        if champion is None:
            reason = "There is no champion to compare with: no version is live, or this very model is."
            return Verdict(rule, figure.value, None, True, reason)
        if champion.model_fingerprint == challenger.model_fingerprint:
            return Verdict(rule, figure.value, None, True, "The challenger is itself the live version.")
        other = _figure(champion, self.metric)
        if not math.isfinite(other.value):
            reason = f"{metric.label}: the champion's figure is {other.value}, and cannot be compared with."
            return Verdict(rule, figure.value, None, False, reason)
        if figure.signature != other.signature:
            raise UserError(
                f"{metric.label} of challenger and champion were measured differently ({figure.signature} and "
                f"{other.signature}): evaluate both with the same version of Seqline"
            )
        sign = 1 if metric.higher_is_better else -1
        loss = _worse_by(figure.value, other.value, metric.higher_is_better)
        # Figures come out of floating point sums: 40.0 - 39.5 must not be more than 0.5.
        passed = loss <= self.margin + 1e-9
        if loss <= 0:
            outcome = "equals" if loss == 0 else f"is better by {-loss:.2f} than"
        else:
            outcome = f"is worse by {loss:.2f} than"
        tolerated = f"; a loss of {self.margin:g} is tolerated" if loss > 0 else ""
        reason = f"{metric.label}: {figure.value:.2f} {outcome} the champion's {other.value:.2f}{tolerated}."
        return Verdict(rule, figure.value, other.value - sign * self.margin, passed, reason)


Rule = Limit | NoRegression


def judge(rules: list[Rule], challenger: Evaluation, champion: Evaluation | None) -> list[Verdict]:
    """Holds the challenger against every rule.

    Args:
        rules: At least one; all of them are judged, also after one that did not pass.
        challenger: Its evaluation.
        champion: The live version's evaluation on the same test text, None where there is none.

    Returns:
        What each rule said, in their order.

    Raises:
        UserError: If the evaluations lack a rule's metric or cannot be compared.
    """
    if champion is not None:
        for name in ("corpus_fingerprint", "sentences"):
            ours, theirs = getattr(challenger, name), getattr(champion, name)
            if ours != theirs:
                raise UserError(
                    f"challenger and champion were evaluated on different test texts ({name} {ours} and {theirs}): "
                    "evaluate both on the same corpus"
                )
    return [rule.judge(challenger, champion) for rule in rules]


def _figure(evaluation: Evaluation, metric: str) -> Figure:
    try:
        return evaluation.metrics[metric]
    except KeyError:
        has = ", ".join(evaluation.metrics) or "no metrics"
        raise UserError(
            f"a rule rests on {metric}, which the evaluation of {evaluation.model_fingerprint or 'the model'} does not "
            f"have; it has {has}: change the rule, or evaluate with another task"
        ) from None


def _worse_by(figure: float, than: float, higher_is_better: bool | None) -> float:
    return than - figure if higher_is_better else figure - than
