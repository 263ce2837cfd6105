"""Checks a challenger against the rules of the gate, and gives the reason for each result."""

import math
from collections.abc import Sequence
from dataclasses import replace

from seqline.artifacts.decision import RuleResult
from seqline.artifacts.evaluation import Comparison, MetricValue
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.rules import AGAINST, ITS, Rule
from seqline.metrics.metrics import Metric

CONFIDENCE = 0.05  # of p-values that go with 95% intervals
# Why a rule has nothing to compare with.
MISSING = {
    "champion": "no version is live yet to compare with",
    "best": "there is no best version so far to compare with",
    "baseline": "training did not start from a pretrained checkpoint, so there is no baseline",
}
ROUNDING = 1e-9  # values are floating point sums: 40.0 - 39.5 must not exceed 0.5


def check_rules(
    rules: Sequence[Rule],
    pair: EvaluationPair,
    best: EvaluationPair | None = None,
    baseline: EvaluationPair | None = None,
) -> list[RuleResult]:
    """Checks every rule, also after one that fails.

    Args:
        rules: At least one.
        pair: The evaluations of challenger and champion.
        best: Those of the challenger and the best version so far; None if that is the champion.
        baseline: Those of the challenger and the checkpoint that training started from; None for none.

    Returns:
        The result of each rule, in their order.

    Raises:
        UserError: If the evaluations lack a rule's metric or cannot be compared.
    """
    metrics = [rule.metric_of(pair.challenger.task) for rule in rules]
    protected = {metric.name for rule, metric in zip(rules, metrics, strict=True) if rule.protects(metric)}
    start = baseline or replace(pair, champion=None, problem="", same=False)
    pairs = {"champion": pair, "best": best or pair, "baseline": start}
    return [_check(rule, metric, pairs[rule.against], protected) for rule, metric in zip(rules, metrics, strict=True)]


def _check(rule: Rule, metric: Metric, pair: EvaluationPair, protected: set[str]) -> RuleResult:
    text = rule.describe(metric)
    value = pair.challenger_value(metric.name)
    if value is None:
        return _without_human_evaluation(metric, text, pair)
    if not math.isfinite(value.value):
        reason = f"{metric.label}: the challenger's value is {value.value}, not a number."
        return RuleResult(text, None, None, False, reason)
    if rule.kind in {"minimum", "maximum"}:
        return _each_slice(rule, metric, text, pair) if rule.slices else _limit(rule, metric, text, value)
    result = _against(rule, metric, text, value, pair, protected)
    return replace(result, against=rule.against)


def _against(
    rule: Rule, metric: Metric, text: str, value: MetricValue, pair: EvaluationPair, protected: set[str]
) -> RuleResult:
    """Compares with another version. The three states of that version are in this order."""
    version = AGAINST[rule.against]
    if pair.problem:
        return _unmeasured(rule, metric, text, value, pair.problem, protected)
    if pair.is_one_model:
        return RuleResult(text, value.value, None, True, f"The challenger is itself {version}.")
    if pair.champion is None:
        return RuleResult(text, value.value, None, True, f"{metric.label}: {MISSING[rule.against]}.")
    if metric.name not in pair.champion.metrics:
        return _unmeasured(rule, metric, text, value, f"it has no {metric.label}", protected)
    if rule.slices:
        return _each_slice(rule, metric, text, pair)
    champion, comparison = pair.champion_value(metric.name), pair.comparisons.get(metric.name)
    return _compared(rule, metric, text, value, champion, comparison)


def _unmeasured(
    rule: Rule, metric: Metric, text: str, value: MetricValue, problem: str, protected: set[str]
) -> RuleResult:
    """Passes only where another rule limits how bad the metric may be."""
    passed = metric.name in protected
    side = "minimum" if metric.higher_is_better else "maximum"
    fallback = (
        f"the {side} on {metric.label} decides instead."
        if passed
        else f"no rule sets a {side} for {metric.label} that would decide instead, so this rule fails."
    )
    version = AGAINST[rule.against]
    return RuleResult(
        text, value.value, None, passed, f"{_capital(version)} cannot be evaluated ({problem}); {fallback}"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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


def _compared(
    rule: Rule,
    metric: Metric,
    text: str,
    ours: MetricValue,
    theirs: MetricValue,
    comparison: Comparison | None,
    where: str = "",
) -> RuleResult:
    label, version = f"{metric.label}{where}", ITS[rule.against]
    if not math.isfinite(theirs.value):
        reason = f"{label}: {version} value is {theirs.value} and cannot be compared."
        return RuleResult(text, ours.value, None, False, reason)
    sign = 1 if metric.higher_is_better else -1
    gain = sign * (ours.value - theirs.value)
    required = rule.value if rule.kind == "gain" else -rule.value
    p_value = None if comparison is None else getattr(comparison, f"p_{rule.test}")
    passed, test = gain >= required - ROUNDING, ""
    limit = theirs.value + sign * required
    if rule.confident:
        confirmed, test = _confident(rule, comparison, required, sign)
        passed = passed and confirmed
        if comparison is not None:  # the value that would pass with an interval as wide as this one
            limit += comparison.difference - comparison.low if sign > 0 else comparison.difference - comparison.high
    elif rule.significance and p_value is None:
        passed, test = False, "; its significance cannot be tested"
    elif rule.significance and p_value is not None:
        significant = p_value < rule.significance
        passed = passed and significant if rule.kind == "gain" else passed or not significant
        test = f"; p = {p_value:.4f} by {rule.test}, {'significant' if significant else 'not significant'}"
    outcome = "equals" if gain == 0 else f"is {'better' if gain > 0 else 'worse'} by {abs(gain):.2f} than"
    tolerated = f"; a loss of {rule.value:g} is tolerated" if rule.kind == "margin" and (gain < 0 or test) else ""
    wanted = f"; a gain of {rule.value:g} is required" if rule.kind == "gain" else ""
    reason = f"{label}: {ours.value:.2f} {outcome} {version} {theirs.value:.2f}{tolerated}{wanted}{test}."
    return RuleResult(text, ours.value, limit, passed, reason, theirs.value, p_value)


def _confident(rule: Rule, comparison: Comparison | None, required: float, sign: int) -> tuple[bool, str]:
    """Checks the worse end of the difference's interval; returns the result and the reason.

    Where few sentences differ the interval ends at 0 by chance, so a gain must also be significant.
    """
    end = math.nan if comparison is None else comparison.low if sign > 0 else -comparison.high
    if comparison is None or not math.isfinite(end):
        return False, "; the difference has no confidence interval"
    if end < required - ROUNDING:
        allowed = f"a loss of {-end:.2f}" if end < 0 else f"a gain of only {end:.2f}"
        more = "; a larger test set narrows it" if sign * comparison.difference >= required - ROUNDING else ""
        return False, f"; its 95% interval allows {allowed}{more}"
    certain = f"a loss of at most {-end:.2f}" if end < 0 else f"a gain of at least {end:.2f}" if end else "no loss"
    shown = f"; with 95% confidence {certain}"
    p_value = getattr(comparison, f"p_{rule.test}")
    if rule.kind == "gain" and not p_value < CONFIDENCE:
        return False, f"{shown}, but p = {p_value:.4f} by {rule.test}, not significant"
    return True, shown


def _each_slice(rule: Rule, metric: Metric, text: str, pair: EvaluationPair) -> RuleResult:
    results = []
    for ours, theirs in pair.slices(rule.slices):
        where = f" of {ours.name}"
        value = ours.metrics.get(metric.name)
        if value is None or not math.isfinite(value.value):
            reason = f"{metric.label}{where}: the challenger's value is not a number."
            results.append(RuleResult(text, None, None, False, reason))
        elif rule.kind in {"minimum", "maximum"}:
            if rule.confident and value.low is None and (ends := pair.slice_interval(metric.name, ours)):
                value = replace(value, low=ends[0], high=ends[1])
            results.append(_limit(rule, metric, text, value, where))
        elif theirs is None or metric.name not in theirs.metrics:
            reason = f"{metric.label}{where}: {AGAINST[rule.against]} was not evaluated on this slice."
            results.append(RuleResult(text, value.value, None, False, reason))
        else:
            tested = rule.significance or rule.confident
            comparison = pair.compare_slice(metric.name, ours) if tested else None
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
