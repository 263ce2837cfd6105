"""The evidence that each rule has after a window, and the alarms that follow from it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqline.artifacts.monitoring import Measured, RuleState
from seqline.artifacts.monitoring_state import State
from seqline.components.monitor.figures import FIGURES, Figure
from seqline.components.monitor.rules import AlarmRule
from seqline.components.monitor.traffic import Traffic, training_shares, training_value
from seqline.metrics.divergence import judged, judged_pairs
from seqline.metrics.sequential import Detector, Floats, evidence_of

FORGETTING = 0.5
"""Weight of the requests of earlier windows in a witness, for each window that has passed."""
TAIL = 0.05
"""Share of the requests that exceed a 95th percentile."""
CALM = 3
"""Windows in a row with a figure within the limit that end an alarm, however wide their intervals are."""


@dataclass
class Evidence:
    """What adds up from window to window.

    Attributes:
        before: The state before the window; None if it begins anew.
        wealth: Of each rule and slice, after the window.
        learned: Of each distance and slice, after the window.
        alarms: Of each rule and slice in alarm, the end of the window that proved it.
        calm: Of each rule and slice in alarm, the last windows in a row whose figure was within the limit.
    """

    before: State | None
    wealth: dict[str, list[float]] = field(default_factory=dict)
    learned: dict[str, list[float]] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    calm: dict[str, int] = field(default_factory=dict)

    def judge(
        self,
        rule: AlarmRule,
        slice_: str,
        traffic: Traffic,
        earlier: Traffic | None,
        measured: Measured | None,
        required: float,
        end: str,
    ) -> RuleState:
        """Judges one rule by the requests of a window.

        Args:
            rule: The rule.
            slice_: The slice that the requests are of; empty for all.
            traffic: The window.
            earlier: The window before; None for none.
            measured: The rule's figure, as it was measured; None if it was not.
            required: The evidence from which an alarm is proven.
            end: End of the window.
        """
        key = f"{rule.key} | {slice_}"
        figure = FIGURES[rule.figure]
        value = _value(rule, figure, measured, traffic)
        gains, compared = self._gains(rule, figure, key, traffic, earlier)
        if rule.against == "previous":
            # The next window is compared with this one, whose requests are known then: no evidence is kept.
            evidence, since = evidence_of(gains) if len(gains) else 0.0, ""
        else:
            old = Detector(tuple(self.before.wealth[key])) if self.before and key in self.before.wealth else Detector()
            detector = old.after(gains) if len(gains) else old
            evidence = detector.evidence
            since = self.before.alarms.get(key, "") if self.before else ""
            if since and self._is_over(key, rule, measured, value):
                since, detector, evidence = "", Detector(), 0.0
            if np.isfinite(detector.wealth).all():
                self.wealth[key] = list(detector.wealth)
        new = not since and bool(compared) and evidence >= required
        since = end if new else since
        if since and rule.against != "previous":
            self.alarms[key] = since
        finite = float(evidence) if np.isfinite(evidence) else 0.0
        reason = _reason(rule, slice_, value, measured, since, new, compared)
        return RuleState(
            rule.describe(), key, slice_, finite, required, value, rule.limit, since, new, rule.then, reason
        )

    def kept(self, judged: list[RuleState]) -> dict[str, Any]:
        """What the state after the window has: also of slices that had too few requests in it.

        Args:
            judged: What each rule found.
        """
        keys = {one.key for one in judged}
        rules = {key.partition(" | ")[0] for key in keys}
        before = self.before

        def with_others(name: str) -> dict[str, Any]:
            old = getattr(before, name) if before else {}
            others = {key: one for key, one in old.items() if key not in keys and key.partition(" | ")[0] in rules}
            return {**others, **getattr(self, name)}

        return {name: with_others(name) for name in ("wealth", "learned", "alarms", "calm")}

    def _is_over(self, key: str, rule: AlarmRule, measured: Measured | None, value: float | None) -> bool:
        """Whether an alarm ends: by the interval of this window, or by the figures of several."""
        calm = self.before.calm.get(key, 0) if self.before else 0
        if measured is not None and value is not None:
            within = value < rule.limit if rule.above is not None else value > rule.limit
            calm = calm + 1 if within else 0
        if calm >= CALM or _is_within(rule, measured, value):
            return True
        if calm:
            self.calm[key] = calm
        return False

    def _gains(
        self, rule: AlarmRule, figure: Figure, key: str, traffic: Traffic, earlier: Traffic | None
    ) -> tuple[Floats, int]:
        """The gains of each request, and the number of requests; none where nothing can be compared."""
        none = np.zeros(0), 0
        if rule.against == "previous":
            if earlier is None:
                return none
            return _against_previous(rule, figure, traffic, earlier)
        if figure.kind == "distance":
            expected = training_shares(figure, traffic.reference)
            drawn = traffic.distribution(figure)
            if expected is None or not len(drawn):
                self._keep(key)
                return none
            past = self.before.learned.get(key) if self.before else None
            learned = FORGETTING * np.array(past) if past else np.zeros(drawn.size)
            gains, _, weights = judged(drawn, expected, learned, rule.limit**2)
            self.learned[key] = [round(float(one), 3) for one in weights]
            return gains, len(drawn)
        values = traffic.values(figure)
        if figure.kind == "percentile":
            exceeds = (values > rule.limit).astype(float)
            return (exceeds - TAIL) / TAIL, len(values)
        training = training_value(figure, traffic.reference) if rule.against else 0.0
        if training is None:
            return none
        return _gains_of(rule, values, training, figure.least, figure.most), len(values)

    def _keep(self, key: str) -> None:
        if self.before and key in self.before.learned:
            self.learned[key] = self.before.learned[key]


def _against_previous(rule: AlarmRule, figure: Figure, traffic: Traffic, earlier: Traffic) -> tuple[Floats, int]:
    if figure.kind == "distance":
        gains, _ = judged_pairs(traffic.distribution(figure), earlier.distribution(figure), rule.limit**2)
        return gains, len(gains)
    ours, theirs = traffic.values(figure), earlier.values(figure)
    pairs = min(len(ours), len(theirs))
    width = figure.most - figure.least
    return _gains_of(rule, ours[:pairs] - theirs[:pairs], 0.0, -width, width), pairs


def _gains_of(rule: AlarmRule, values: Floats, compared: float, least: float, most: float) -> Floats:
    """How far each value is beyond the limit, as a multiple of the most that it could be on its other side."""
    limit = compared + rule.limit
    if rule.above is not None:
        return np.maximum(-1.0, (values - limit) / max(limit - least, 1e-9))
    return np.maximum(-1.0, (limit - values) / max(most - limit, 1e-9))


def _value(rule: AlarmRule, figure: Figure, measured: Measured | None, traffic: Traffic) -> float | None:
    """What the rule limits: the figure, a distance, or a difference."""
    if measured is None:
        return None
    if figure.kind == "distance":
        if rule.against == "previous":
            return measured.previous
        # Without training figures the value is the distance from the previous window.
        return None if training_shares(figure, traffic.reference) is None else measured.value
    if not rule.against:
        return measured.value
    other = measured.previous if rule.against == "previous" else measured.training
    return None if other is None else measured.value - other


def _is_within(rule: AlarmRule, measured: Measured | None, value: float | None) -> bool:
    """Whether the whole interval is within the limit."""
    if measured is None or value is None:
        return False
    compared = (measured.training or 0.0) if rule.against == "training" and measured.training is not None else 0.0
    limit = compared + rule.limit
    return measured.high < limit if rule.above is not None else measured.low > limit


def _reason(
    rule: AlarmRule, slice_: str, value: float | None, measured: Measured | None, since: str, new: bool, compared: int
) -> str:
    label = FIGURES[rule.figure].label + (f" of slice {slice_}" if slice_ else "")
    if value is None or measured is None or not compared:
        return (
            f"{label}: there is nothing to compare."
            if not since
            else f"{label}: in alarm since {since}; there is nothing to compare."
        )
    side, meaning = ("above", "increase") if rule.above is not None else ("below", "change")
    what = {"": "", "training": " from training", "previous": " from the previous window"}[rule.against]
    if FIGURES[rule.figure].kind == "distance":
        shown = f"{label} is {value:.3g}{what}"
    elif rule.against:
        shown = f"{label}: the {meaning}{what} is {value:.3g}"
    else:
        shown = f"{label} is {value:.4g}"
    if new:
        return f"{shown}, proven to be {side} {rule.limit:g}."
    if since:
        return f"{shown}; in alarm since {since}."
    return f"{shown}; not proven to be {side} {rule.limit:g}."
