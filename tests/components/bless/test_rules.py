import math

import pytest

from seqline.components.bless.options import Options
from seqline.components.bless.rules import DEFAULT, Rule
from seqline.errors import UserError
from seqline.metrics.draws import smallest_p_value


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
        ([{"metric": "bleu", "minimum": 1, "significance": 0.05}], "significance applies to margin or gain"),
        (
            [{"metric": "bleu", "margin": 1, "confident": True, "significance": 0.05}],
            r"gate\[0\]: confident and significance are two different tests: set one",
        ),
        ([{"metric": "bleu", "minimum": 1, "against": "best"}], "against applies to margin or gain, not to minimum"),
        (
            [{"metric": "bleu", "margin": 1, "against": "worst"}],
            r"gate\[0\].against must be champion, best or baseline",
        ),
        (
            [{"metric": "latency_p95", "maximum": 1, "slices": "all"}],
            r"gate\[0\]: slices: latency_p95 cannot be",
        ),
        ([{"metric": "model_size", "minimum": 1, "slices": "all"}], "slices: model_size cannot be checked by slice"),
        ([{"metric": "widest_gap", "margin": 1, "slices": "all"}], "slices: widest_gap cannot be checked by slice"),
        ([{"metric": "human_preference", "minimum": 1, "slices": "all"}], "slices: human_preference cannot be"),
        ([{"metric": "human_preference", "margin": 1}], "margin: human_preference compares two models itself"),
        ([{"metric": "latency_p50", "margin": 1, "significance": 0.05}], "significance: latency_p50 cannot be tested"),
        (
            [{"metric": "throughput", "minimum": 1, "confident": True}],
            "confident: throughput has no confidence",
        ),
        (
            [{"metric": "bleu", "margin": 1, "significance": 0.0009, "test": "bootstrap"}],
            r"significance: 1,000 draws of bootstrap .* 1/1001: 0.0009 never applies; the smallest value that works is "
            r"0.001$",
        ),
        (
            [{"metric": "bleu", "gain": 1, "significance": 1 / 10001}],
            r"significance: 10,000 draws of randomization .* smallest value that works is 0.0001$",
        ),
        ([{"metric": "bleu", "margin": 1, "test": "t"}], r"gate\[0\].test must be bootstrap or randomization"),
        ([{"metric": "bleu", "gain": 1, "slices": "all"}], "slices cannot be combined with gain"),
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
        ({"maximum": 20, "confident": True}, "maximum", 20, "chrF++ at most 20, with 95% confidence"),
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


def test_an_empty_gate_has_three_rules_on_every_task() -> None:
    assert [rule.describe(rule.metric_of("translation")) for rule in DEFAULT] == [
        "Empty outputs at most 50%",
        "BLEU within 2 of the champion's, with 95% confidence",
        "BLEU within 2 of the best version's, with 95% confidence",
    ]


@pytest.mark.parametrize(("test", "significance"), [("bootstrap", 0.001), ("randomization", 0.0001)])
def test_the_smallest_significance_that_is_named_works(test: str, significance: float) -> None:
    (made,) = Options(gate=[{"metric": "bleu", "margin": 1, "significance": significance, "test": test}]).gate
    assert smallest_p_value(test) < made.significance


@pytest.mark.parametrize(("task", "metric"), [("summarization", "bleu"), ("question_answering", "chrf")])
def test_a_metric_of_another_task_is_refused(task: str, metric: str) -> None:
    with pytest.raises(UserError, match=rf"gate\[1\]: {metric} is not available for task {task}; headline is"):
        Options(task=task, gate=[{"metric": "headline", "minimum": 1}, {"metric": metric, "minimum": 1}])


@pytest.mark.parametrize("rule", [{"margin": 1, "significance": 1}, {"margin": 1, "slices": "all"}, {"gain": 0}])
def test_the_bounds_of_a_rule_are_allowed(rule: dict) -> None:
    (made,) = Options(gate=[{"metric": "bleu", **rule}]).gate
    assert made.model_dump(exclude_unset=True) == {"metric": "bleu", **rule}


@pytest.mark.parametrize("limit", [{"minimum": 1}, {"maximum": 1}])
def test_a_metric_without_a_better_side_and_slices_take_limits(limit: dict) -> None:
    (made,) = Options(gate=[{"metric": "length_ratio", "slices": "length", **limit}]).gate
    assert made.slices == "length"
    assert not made.confident
