"""The best version so far, and whether the challenger takes its place."""

import math

from seqline.artifacts.decision import Anchor
from seqline.artifacts.evaluation import MetricValue
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.errors import UserError
from seqline.metrics.metrics import HEADLINES, METRICS


def compare_with_best(pair: EvaluationPair, best: EvaluationPair | None) -> Anchor:
    """Compares the headline metric with that of the best version on the same test set.

    Args:
        pair: The evaluations of challenger and champion.
        best: Those of the challenger and the best version so far; None if that is the champion.
    """
    opponent = best or pair
    moves, reason = _moves(opponent, "best version so far" + ("" if best else " (the champion)"))
    if best is None:
        return Anchor(moves, reason)
    metrics = finite(best.champion.metrics) if best.champion else None
    return Anchor(moves, reason, metrics, best.comparisons, best.problem)


def _moves(pair: EvaluationPair, best: str) -> tuple[bool, str]:
    metric = METRICS[HEADLINES[pair.challenger.task]]
    if pair.problem:
        return False, f"The {best} cannot be evaluated and remains the best: {pair.problem}."
    if pair.is_one_model:
        return True, "The challenger is itself the best version so far."
    if pair.champion is None:
        return True, "There is no earlier version, so the challenger becomes the best version when it is deployed."
    try:
        ours, theirs = pair.challenger_value(metric.name), pair.champion_value(metric.name)
    except UserError as error:
        return False, f"The {best} remains the best: {error}."
    if ours is None or not (math.isfinite(ours.value) and math.isfinite(theirs.value)):
        return False, f"The {best} remains the best: {metric.label} is not a number."
    if ours.value >= theirs.value:  # every headline is better when it is higher
        return True, (
            f"The challenger becomes the best version when it is deployed: {metric.label} {ours.value:.2f} is at least "
            f"the {theirs.value:.2f} of the {best}."
        )
    return False, (
        f"The challenger does not become the best version: {metric.label} {ours.value:.2f} is below the "
        f"{theirs.value:.2f} of the {best}."
    )


def finite(metrics: dict[str, MetricValue]) -> dict[str, MetricValue]:
    """Returns the metrics that are finite: JSON has no NaN, and a rule on a NaN has failed with that reason.

    Args:
        metrics: By name.
    """
    return {name: value for name, value in metrics.items() if math.isfinite(value.value)}
