import math

import pytest

from seqline.components.bless.options import Options
from seqline.components.bless.rules import DEFAULT, Rule
from seqline.errors import UserError


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"bleu": 20}, "gate must be a list"),
        (["bleu"], r"gate\[0\] must be an object"),
        (
            [{"metric": "bleu", "minimum": 1}, {"metric": "blue", "minimum": 20}],
            r"gate\[1\]: there is no metric 'blue'; did you mean 'bleu'",
        ),
        ([{"metric": "bleu", "minimun": 20}], "did you mean 'minimum'"),
        ([{"metric": "bleu"}], r"gate\[0\]: a rule needs exactly one of minimum, maximum, margin, gain, not none"),
        ([{"metric": "bleu", "minimum": 1, "margin": 1}], "exactly one of"),
        ([{"metric": "bleu", "minimum": "20"}], r"gate\[0\].minimum must be a number, not '20'"),
        ([{"metric": "bleu", "minimum": True}], r"gate\[0\].minimum must be a number"),
        ([{"metric": "bleu", "margin": math.nan}], r"gate\[0\].margin must be a finite number"),
        ([{"metric": "bleu", "margin": -1}], r"gate\[0\].margin must be at least 0"),
        ([{"metric": "bleu", "gain": -1}], r"gate\[0\].gain must be at least 0"),
        ([{"metric": "length_ratio", "margin": 1}], "no better side"),
        ([{"metric": "bleu", "margin": 1, "significance": -0.5}], r"gate\[0\].significance must be at least 0"),
        (
            [{"metric": "bleu", "margin": 1, "significance": 2}],
            r"gate\[0\].significance must be at least 0 and at most 1, not 2",
        ),
        ([{"metric": "bleu", "minimum": 1, "significance": 0.05}], "significance goes with margin or gain"),
        ([{"metric": "bleu", "margin": 1, "confident": True}], "confident goes with minimum or maximum"),
        ([{"metric": "bleu", "margin": 1, "test": "t"}], r"gate\[0\].test must be bootstrap or randomization"),
        ([{"metric": "bleu", "gain": 1, "slices": "all"}], "slices do not go with gain"),
        ([{"metric": "bleu", "margin": 1, "slices": "town"}], r"gate\[0\].slices must be "),
    ],
)
def test_invalid_rules_are_refused_by_their_index(rules: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(gate=rules)


@pytest.mark.parametrize(
    ("rule", "kind", "value", "words"),
    [
        ({"minimum": 20.5}, "minimum", 20.5, "chrF++ at least 20.5"),
        ({"maximum": 20, "confident": True}, "maximum", 20, "chrF++ at most 20, interval included"),
        ({"margin": 0}, "margin", 0, "chrF++ within 0 of the champion's"),
        ({"margin": 1, "slices": "all"}, "margin", 1, "chrF++ within 1 of the champion's in every slice"),
        ({"minimum": 1, "slices": "terms"}, "minimum", 1, "chrF++ at least 1 in every slice by terms"),
        (
            {"gain": 2, "significance": 0.05, "test": "randomization"}, "gain", 2,
            "chrF++ better than the champion's by 2, p < 0.05",
        ),
    ],
)  # fmt: skip
def test_a_rule_describes_itself(rule: dict, kind: str, value: float, words: str) -> None:
    (made,) = Options(gate=[{"metric": "chrf", **rule}]).gate
    assert (made.kind, made.value) == (kind, value)
    assert made.describe(made.metric_of("translation")) == words


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("translation", "bleu"),
        ("summarization", "rougeLsum"),
        ("question_answering", "token_f1"),
        ("text_generation", "chrf"),
    ],
)
def test_the_headline_is_the_tasks_own_metric(task: str, metric: str) -> None:
    assert Rule(metric="headline", margin=1).metric_of(task).name == metric
    assert Rule(metric="ter", margin=1).metric_of(task).name == "ter"


def test_an_empty_gate_has_two_rules_on_every_task() -> None:
    assert [rule.describe(rule.metric_of("translation")) for rule in DEFAULT] == [
        "Empty outputs, % at most 50",
        "BLEU within 0.5 of the champion's",
    ]


@pytest.mark.parametrize("rule", [{"margin": 1, "significance": 1}, {"margin": 1, "slices": "all"}, {"gain": 0}])
def test_the_bounds_of_a_rule_are_allowed(rule: dict) -> None:
    (made,) = Options(gate=[{"metric": "bleu", **rule}]).gate
    assert made.model_dump(exclude_unset=True) == {"metric": "bleu", **rule}


@pytest.mark.parametrize("limit", [{"minimum": 1}, {"maximum": 1}])
def test_a_metric_without_a_better_side_and_slices_take_limits(limit: dict) -> None:
    (made,) = Options(gate=[{"metric": "length_ratio", "slices": "length", **limit}]).gate
    assert made.slices == "length"
    assert not made.confident
