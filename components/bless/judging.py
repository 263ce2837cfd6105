"""Holds a challenger against the rules, and says why it passes or not."""

import math
from collections.abc import Sequence

from seqline.artifacts.decision import Verdict
from seqline.artifacts.evaluation import Comparison, Figure
from seqline.components.bless.evidence import Evidence
from seqline.components.bless.rules import Rule
from seqline.metrics.metrics import Metric

ROUNDING = 1e-9  # figures come out of floating point sums: 40.0 - 39.5 must not be more than 0.5


def judge(rules: Sequence[Rule], evidence: Evidence) -> list[Verdict]:
    """Judges every rule, also after one that did not pass.

    Args:
        rules: At least one.
        evidence: Both evaluations.

    Returns:
        What each rule said, in their order.

    Raises:
        UserError: If the evaluations lack a rule's metric or cannot be compared.
    """
    limits = {rule.metric_of(evidence.challenger.task).name for rule in rules if rule.kind in {"minimum", "maximum"}}
    return [_judge(rule, evidence, limits) for rule in rules]


def _judge(rule: Rule, evidence: Evidence, limits: set[str]) -> Verdict:
    metric = rule.metric_of(evidence.challenger.task)
    told = rule.told(metric)
    figure = evidence.figure(metric.name)
    if figure is None:
        return _without_raters(metric, told, evidence)
    if not math.isfinite(figure.value):
        reason = f"{metric.label}: the challenger's figure is {figure.value}, not a number."
        return Verdict(told, None, None, False, reason)
    if rule.kind in {"minimum", "maximum"}:
        return _each_slice(rule, metric, told, evidence) if rule.slices else _limit(rule, metric, told, figure)
    if evidence.champion is None:
        return _without_champion(metric, told, figure, evidence.problem, limits)
    if metric.name not in evidence.champion.metrics:
        return _without_champion(metric, told, figure, f"it has no figure for {metric.label}", limits)
    if evidence.champion.model_fingerprint == evidence.challenger.model_fingerprint:
        return Verdict(told, figure.value, None, True, "The challenger is itself the live version.")
    if rule.slices:
        return _each_slice(rule, metric, told, evidence)
    return _compared(rule, metric, told, figure, evidence.champions(metric.name), evidence.comparisons.get(metric.name))


def _without_raters(metric: Metric, told: str, evidence: Evidence) -> Verdict:
    if evidence.champion is None and not evidence.problem:
        reason = f"{metric.label}: there is no champion that raters could have compared with."
        return Verdict(told, None, None, True, reason)
    return Verdict(told, None, None, False, f"{metric.label}: {evidence.unheard}.")


def _limit(rule: Rule, metric: Metric, told: str, figure: Figure, where: str = "") -> Verdict:
    least = rule.kind == "minimum"
    value, shown = figure.value, f"{figure.value:.2f}"
    if rule.confident:
        end = figure.low if least else figure.high
        if end is None or not math.isfinite(end):
            return Verdict(told, value, rule.value, False, f"{metric.label}{where}: the figure has no interval.")
        value, shown = end, f"{shown}, surely {'at least' if least else 'at most'} {end:.2f},"
    passed = value >= rule.value if least else value <= rule.value
    word = "at least" if least else "at most"
    reason = f"{metric.label}{where}: {shown} {'meets' if passed else 'misses'} the limit of {word} {rule.value:g}."
    return Verdict(told, value, rule.value, passed, reason)


def _without_champion(metric: Metric, told: str, figure: Figure, problem: str, limits: set[str]) -> Verdict:
    if not problem:
        reason = "There is no champion to compare with: no version is live, or this very model is."
        return Verdict(told, figure.value, None, True, reason)
    limited = metric.name in limits
    fallback = (
        f"the rule falls back on the limit that is set on {metric.label}."
        if limited
        else f"no limit is set on {metric.label} to fall back on, so nothing passes unseen: set a minimum or maximum."
    )
    return Verdict(told, figure.value, None, limited, f"The champion cannot be measured ({problem}); {fallback}")


def _compared(
    rule: Rule, metric: Metric, told: str, ours: Figure, theirs: Figure, found: Comparison | None, where: str = ""
) -> Verdict:
    label = f"{metric.label}{where}"
    if not math.isfinite(theirs.value):
        reason = f"{label}: the champion's figure is {theirs.value}, and cannot be compared with."
        return Verdict(told, ours.value, None, False, reason)
    sign = 1 if metric.higher_is_better else -1
    won = sign * (ours.value - theirs.value)
    asked = rule.value if rule.kind == "gain" else -rule.value
    p_value = None if found is None else getattr(found, f"p_{rule.test}")
    passed, aside = won >= asked - ROUNDING, ""
    if rule.significance and p_value is None:
        passed, aside = False, "; whether by chance cannot be told"
    elif rule.significance and p_value is not None:
        sure = p_value < rule.significance
        passed = passed and sure if rule.kind == "gain" else passed or not sure
        aside = f"; p = {p_value:.4f} by {rule.test}, {'no chance' if sure else 'maybe chance'}"
    outcome = "equals" if won == 0 else f"is {'better' if won > 0 else 'worse'} by {abs(won):.2f} than"
    tolerated = f"; a loss of {rule.value:g} is tolerated" if rule.kind == "margin" and won < 0 else ""
    wanted = f"; a win of {rule.value:g} is asked for" if rule.kind == "gain" else ""
    reason = f"{label}: {ours.value:.2f} {outcome} the champion's {theirs.value:.2f}{tolerated}{wanted}{aside}."
    return Verdict(told, ours.value, theirs.value + sign * asked, passed, reason, theirs.value, p_value)


def _each_slice(rule: Rule, metric: Metric, told: str, evidence: Evidence) -> Verdict:
    verdicts = []
    for ours, theirs in evidence.slices(rule.slices):
        where = f" of {ours.name}"
        figure = ours.metrics[metric.name]
        if rule.kind in {"minimum", "maximum"}:
            verdicts.append(_limit(rule, metric, told, figure, where))
        elif theirs is None or metric.name not in theirs.metrics:
            reason = f"{metric.label}{where}: the champion was not measured on this slice."
            verdicts.append(Verdict(told, figure.value, None, False, reason))
        else:
            found = evidence.in_slice(metric.name, ours) if rule.significance else None
            verdicts.append(_compared(rule, metric, told, figure, theirs.metrics[metric.name], found, where))
    if not verdicts:
        smallest = evidence.challenger.min_slice_size
        reason = f"{metric.label}: the test text has no slice of this kind with {smallest} sentences or more."
        return Verdict(told, None, None, False, reason)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        worst, reasons = max(failed, key=_miss), " ".join(one.reason for one in failed)
        return Verdict(told, worst.figure, worst.limit, False, reasons, worst.champion, worst.p_value)
    nearest = max(verdicts, key=_miss)
    reason = f"All {len(verdicts)} slices pass; nearest to the limit is {nearest.reason}"
    return Verdict(told, nearest.figure, nearest.limit, True, reason, nearest.champion, nearest.p_value)


def _miss(verdict: Verdict) -> float:
    """How far a figure is from its limit, whichever side is better: the nearest of those that pass, or the worst."""
    if verdict.figure is None or verdict.limit is None:
        return math.inf
    distance = abs(verdict.figure - verdict.limit)
    return -distance if verdict.passed else distance
