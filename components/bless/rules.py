"""The gate's rules as data: what a reviewer may ask of a challenger.

A rule is an object with a metric and one thing that is asked of it:

    {"metric": "bleu", "minimum": 20}                      the figure is at least this
    {"metric": "latency_p95", "maximum": 200}              the figure is at most this
    {"metric": "bleu", "margin": 0.5}                      no more than this is lost to the champion
    {"metric": "bleu", "gain": 0.2, "significance": 0.05}  at least this is won, and not by chance

and may say more: `significance` (with margin or gain), the probability below which a difference is no chance, with
`test`; `slices` (with all but gain), to ask it of every slice; `confident` (with minimum or maximum), to ask it of the
worse end of the 95% interval. The metric `headline` is the task's own: BLEU, ROUGE-Lsum, token F1 or chrF++.
"""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from seqline.errors import UserError
from seqline.metrics.metrics import HEADLINES, METRICS, Metric, find_metric

HEADLINE = "headline"
KINDS = ("minimum", "maximum", "margin", "gain")
TESTS = ("bootstrap", "randomization")
SLICINGS = ("length", "slice", "terms", "all")
DEFAULT: list[dict] = [{"metric": "empty_outputs", "maximum": 50}, {"metric": HEADLINE, "margin": 0.5}]


@dataclass(frozen=True)
class Rule:
    """One rule; exactly one of minimum, maximum, margin and gain is set.

    Attributes:
        metric: The metric's name, or `headline`.
        minimum: The least figure that passes.
        maximum: The greatest figure that passes.
        margin: The loss to the champion that is tolerated, on the metric's own scale; 0 or more.
        gain: The least win over the champion that passes; 0 or more.
        significance: With margin, a loss fails only if chance makes one as great less often than this; with gain, a win
            passes only then. 0 leaves chance aside.
        test: Which test says so: bootstrap or randomization.
        slices: Which slices each have to pass: length, slice, terms or all; empty for the whole text.
        confident: Whether the worse end of the 95% interval has to pass.
    """

    metric: str
    minimum: float | None = None
    maximum: float | None = None
    margin: float | None = None
    gain: float | None = None
    significance: float = 0.0
    test: str = "bootstrap"
    slices: str = ""
    confident: bool = False

    @property
    def kind(self) -> str:
        """What is asked: minimum, maximum, margin or gain."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def value(self) -> float:
        """The figure that goes with it."""
        return float(getattr(self, self.kind))

    def metric_of(self, task: str) -> Metric:
        """The metric.

        Args:
            task: What the challenger was trained for.
        """
        return METRICS[HEADLINES[task] if self.metric == HEADLINE else self.metric]

    def told(self, metric: Metric) -> str:
        """The rule in a few words.

        Args:
            metric: The metric, from `metric_of`.
        """
        asked = {
            "minimum": f"at least {self.value:g}",
            "maximum": f"at most {self.value:g}",
            "margin": f"within {self.value:g} of the champion's",
            "gain": f"better than the champion's by {self.value:g}",
        }[self.kind]
        where = {"": "", "all": " in every slice"}.get(self.slices, f" in every slice by {self.slices}")
        surely = ", interval included" if self.confident else ""
        chance = f", p < {self.significance:g}" if self.significance else ""
        return f"{metric.label} {asked}{where}{surely}{chance}"


def read_rules(given: Iterable[object]) -> list[Rule]:
    """Reads rules from their JSON form, and refuses what makes no sense.

    Args:
        given: The objects; none stands for `DEFAULT`, since a gate without rules would let everything pass.

    Raises:
        UserError: If one has a wrong name or value; the message names it by its place.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError(f'gate must be a list such as [{{"metric": "bleu", "minimum": 20}}], not {given!r}')
    return [_read(content, f"gate[{place}]") for place, content in enumerate(given or DEFAULT)]


def _read(content: object, where: str) -> Rule:
    if not isinstance(content, dict):
        raise UserError(f'{where} must be an object such as {{"metric": "bleu", "minimum": 20}}, not {content!r}')
    names = [field.name for field in fields(Rule)]
    for name in content:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise UserError(f"{where} has no {name!r}; {hint}")
    kinds = [kind for kind in KINDS if content.get(kind) is not None]
    if "metric" not in content or len(kinds) != 1:
        raise UserError(f"{where} needs a metric and exactly one of {', '.join(KINDS)}; it has {', '.join(content)}")
    (kind,) = kinds
    direction = True if content["metric"] == HEADLINE else find_metric(content["metric"], where).higher_is_better
    _number(content[kind], f"{where}: {kind}", least=0 if kind in {"margin", "gain"} else -math.inf)
    _number(content.get("significance", 0.0), f"{where}: significance", least=0, most=1)
    _known(content.get("test", TESTS[0]), TESTS, f"{where}: test")
    if "slices" in content:
        _known(content["slices"], SLICINGS, f"{where}: slices")
    if not isinstance(content.get("confident", False), bool):
        raise UserError(f"{where}: confident must be true or false, not {content['confident']!r}")
    compared = kind in {"margin", "gain"}
    for wrong, reason in (
        (compared and direction is None, f"{content['metric']} has no better side: set a minimum or a maximum"),
        (not compared and content.get("significance"), f"significance goes with margin or gain, not with {kind}"),
        (compared and content.get("confident"), f"confident goes with minimum or maximum, not with {kind}"),
        (kind == "gain" and content.get("slices"), "slices do not go with gain"),
    ):
        if wrong:
            raise UserError(f"{where}: {reason}")
    return Rule(**content)


def _number(value: object, where: str, least: float = -math.inf, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f"{where} must be a number, not {value!r}")
    if not least <= value <= most:
        allowed = f"between {least:g} and {most:g}" if math.isfinite(most) else f"at least {least:g}"
        raise UserError(f"{where} must be {allowed}, not {value!r}")


def _known(value: object, known: Sequence[str], where: str) -> None:
    if value not in known:
        raise UserError(f"{where} must be one of {', '.join(known)}, not {value!r}")
