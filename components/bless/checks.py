"""Checks a challenger against the rules of the gate, and gives the reason for each result."""

import math
from collections.abc import Sequence

from seqline.artifacts.decision import RuleResult
from seqline.artifacts.evaluation import Comparison, MetricValue
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.rules import Rule
from seqline.metrics.metrics import Metric

ROUNDING = 1e-9  # values are floating point sums: 40.0 - 39.5 must not exceed 0.5


def check_rules(rules: Sequence[Rule], pair: EvaluationPair) -> list[RuleResult]:
    """Checks every rule, also after one that fails.

    Args:
        rules: At least one.
        pair: Both evaluations.

    Returns:
        The result of each rule, in their order.

    Raises:
        UserError: If the evaluations lack a rule's metric or cannot be compared.
    """
    limits = {rule.metric_of(pair.challenger.task).name for rule in rules if rule.kind in {"minimum", "maximum"}}
    return [_check(rule, pair, limits) for rule in rules]


def _check(rule: Rule, pair: EvaluationPair, limits: set[str]) -> RuleResult:
    metric = rule.metric_of(pair.challenger.task)
    text = rule.describe(metric)
    value = pair.challenger_value(metric.name)
    if value is None:
        return _without_human_evaluation(metric, text, pair)
    if not math.isfinite(value.value):
        reason = f"{metric.label}: the challenger's value is {value.value}, not a number."
        return RuleResult(text, None, None, False, reason)
    if rule.kind in {"minimum", "maximum"}:
        return _each_slice(rule, metric, text, pair) if rule.slices else _limit(rule, metric, text, value)
    if pair.champion is None:
        return _without_champion(metric, text, value, pair.problem, limits)
    if metric.name not in pair.champion.metrics:
        return _without_champion(metric, text, value, f"it has no {metric.label}", limits)
    if pair.champion.model_fingerprint == pair.challenger.model_fingerprint:
        return RuleResult(text, value.value, None, True, "The challenger is itself the live version.")
    if rule.slices:
        return _each_slice(rule, metric, text, pair)
    champion, comparison = pair.champion_value(metric.name), pair.comparisons.get(metric.name)
    return _compared(rule, metric, text, value, champion, comparison)


def _without_human_evaluation(metric: Metric, text: str, pair: EvaluationPair) -> RuleResult:
    if pair.champion is None and not pair.problem:
        return RuleResult(text, None, None, True, f"{metric.label}: there is no champion to compare with.")
    return RuleResult(text, None, None, False, f"{metric.label}: {pair.human_problem}.")


def _limit(rule: Rule, metric: Metric, text: str, value: MetricValue, where: str = "") -> RuleResult:
    is_minimum = rule.kind == "minimum"
    word, shown, number = "at least" if is_minimum else "at most", f"{value.value:.2f}", value.value
    if rule.confident:
        end = value.low if is_minimum else value.high
        if end is None or not math.isfinite(end):
            reason = f"{metric.label}{where}: it has no confidence interval."
            return RuleResult(text, number, rule.value, False, reason)
        shown, number = f"{shown}, with 95% confidence {word} {end:.2f},", end
    passed = number >= rule.value if is_minimum else number <= rule.value
    reason = f"{metric.label}{where}: {shown} {'meets' if passed else 'misses'} the limit of {word} {rule.value:g}."
    return RuleResult(text, number, rule.value, passed, reason)


def _without_champion(metric: Metric, text: str, value: MetricValue, problem: str, limits: set[str]) -> RuleResult:
    if not problem:
        reason = "There is no champion to compare with: no version is live, or this very model is."
        return RuleResult(text, value.value, None, True, reason)
    passed = metric.name in limits
    fallback = (
        f"the limit on {metric.label} decides instead."
        if passed
        else f"no rule limits {metric.label}, so this rule fails: add a minimum or maximum."
    )
    return RuleResult(text, value.value, None, passed, f"The champion cannot be measured ({problem}); {fallback}")


def _compared(
    rule: Rule,
    metric: Metric,
    text: str,
    ours: MetricValue,
    theirs: MetricValue,
    comparison: Comparison | None,
    where: str = "",
) -> RuleResult:
    label = f"{metric.label}{where}"
    if not math.isfinite(theirs.value):
        reason = f"{label}: the champion's value is {theirs.value} and cannot be compared."
        return RuleResult(text, ours.value, None, False, reason)
    sign = 1 if metric.higher_is_better else -1
    gain = sign * (ours.value - theirs.value)
    required = rule.value if rule.kind == "gain" else -rule.value
    p_value = None if comparison is None else getattr(comparison, f"p_{rule.test}")
    passed, test = gain >= required - ROUNDING, ""
    if rule.significance and p_value is None:
        passed, test = False, "; its significance cannot be tested"
    elif rule.significance and p_value is not None:
        significant = p_value < rule.significance
        passed = passed and significant if rule.kind == "gain" else passed or not significant
        test = f"; p = {p_value:.4f} by {rule.test}, {'significant' if significant else 'not significant'}"
    outcome = "equals" if gain == 0 else f"is {'better' if gain > 0 else 'worse'} by {abs(gain):.2f} than"
    tolerated = f"; a loss of {rule.value:g} is tolerated" if rule.kind == "margin" and gain < 0 else ""
    wanted = f"; a gain of {rule.value:g} is required" if rule.kind == "gain" else ""
    reason = f"{label}: {ours.value:.2f} {outcome} the champion's {theirs.value:.2f}{tolerated}{wanted}{test}."
    return RuleResult(text, ours.value, theirs.value + sign * required, passed, reason, theirs.value, p_value)


def _each_slice(rule: Rule, metric: Metric, text: str, pair: EvaluationPair) -> RuleResult:
    results = []
    for ours, theirs in pair.slices(rule.slices):
        where = f" of {ours.name}"
        value = ours.metrics[metric.name]
        if rule.kind in {"minimum", "maximum"}:
            results.append(_limit(rule, metric, text, value, where))
        elif theirs is None or metric.name not in theirs.metrics:
            reason = f"{metric.label}{where}: the champion was not measured on this slice."
            results.append(RuleResult(text, value.value, None, False, reason))
        else:
            comparison = pair.compare_slice(metric.name, ours) if rule.significance else None
            results.append(_compared(rule, metric, text, value, theirs.metrics[metric.name], comparison, where))
    if not results:
        min_size = pair.challenger.min_slice_size
        reason = f"{metric.label}: the test set has no slice of this kind with {min_size} sentences or more."
        return RuleResult(text, None, None, False, reason)
    failed = [result for result in results if not result.passed]
    if failed:
        worst, reasons = max(failed, key=_miss), " ".join(result.reason for result in failed)
        return RuleResult(text, worst.value, worst.limit, False, reasons, worst.champion, worst.p_value)
    closest = max(results, key=_miss)
    reason = f"All slices pass ({len(results)}); closest to the limit: {closest.reason}"
    return RuleResult(text, closest.value, closest.limit, True, reason, closest.champion, closest.p_value)


def _miss(result: RuleResult) -> float:
    """Distance of a value beyond its limit, whichever side is better; negative where the rule passes."""
    if result.value is None or result.limit is None:
        return math.inf
    distance = abs(result.value - result.limit)
    return -distance if result.passed else distance
