import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.evaluation import Comparison, Evaluation, MetricValue
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.options import Options
from seqline.components.bless.rules import DEFAULT
from seqline.metrics.metrics import METRICS
from tests.components.bless.evaluations import check, evaluation, slices


def test_every_slice_is_checked_and_failing_slices_are_named() -> None:
    ours = replace(evaluation(), slices=slices(north=30, south=20, east=28))
    theirs = replace(evaluation("old"), slices=slices(north=29, south=26, east=29))
    found = check({"metric": "bleu", "margin": 2, "slices": "slice"}, ours, theirs)
    assert not found.passed
    assert (found.value, found.champion, found.limit) == (20, 26, 24)
    assert "south" in found.reason
    assert "north" not in found.reason
    assert not check({"metric": "bleu", "minimum": 25, "slices": "all"}, ours).passed
    assert check({"metric": "bleu", "minimum": 20, "slices": "all"}, ours).passed


def test_missing_or_small_slices_never_pass() -> None:
    small = replace(evaluation(), slices=slices(north=30), min_slice_size=51)
    for ours in (evaluation(), small):
        assert not check({"metric": "bleu", "minimum": 1, "slices": "all"}, ours).passed
    alone = replace(evaluation(), slices=slices(north=30))
    assert not check({"metric": "bleu", "margin": 1, "slices": "all"}, alone, evaluation("old")).passed


def test_a_loss_within_the_margin_is_tolerated_and_one_beyond_is_not() -> None:
    rule = {"metric": "bleu", "margin": 0.5}
    assert check(rule, evaluation(bleu=39.5), evaluation("old", bleu=40.0)).passed
    beyond = check(rule, evaluation(bleu=39.49), evaluation("old", bleu=40.0))
    assert not beyond.passed
    assert beyond.reason == "BLEU: 39.49 is worse by 0.51 than the champion's 40.00; a loss of 0.5 is tolerated."


def test_every_rule_is_reported() -> None:
    given = [
        {"metric": "bleu", "minimum": 20},
        {"metric": "chrf", "minimum": 60},
        {"metric": "latency_p95", "maximum": 99},
    ]
    found = check_rules(Options(gate=given).gate, EvaluationPair(evaluation(), None))
    assert [(rule.rule, rule.passed) for rule in found] == [
        ("BLEU at least 20", True),
        ("chrF++ at least 60", False),
        ("Latency, 95th percentile at most 99 ms", True),
    ]


def test_the_margin_applies_upwards_where_lower_is_better() -> None:
    found = check(
        {"metric": "empty_outputs", "margin": 1}, evaluation(empty_outputs=6), evaluation("old", empty_outputs=4.5)
    )
    assert not found.passed
    assert found.limit == 5.5


def test_a_confident_limit_applies_to_the_worse_end_of_the_interval() -> None:
    assert check({"metric": "bleu", "minimum": 29.5}, evaluation()).passed
    assert not check({"metric": "bleu", "minimum": 29.5, "confident": True}, evaluation()).passed


def test_a_metric_without_a_direction_takes_limits() -> None:
    assert not check({"metric": "length_ratio", "maximum": 0.9}, evaluation()).passed
    assert check({"metric": "length_ratio", "minimum": 0.9}, evaluation()).passed


def test_the_default_gate_rejects_a_model_with_empty_outputs() -> None:
    found = check_rules(DEFAULT, EvaluationPair(evaluation(empty_outputs=100), None))
    assert not all(rule.passed for rule in found)


def test_the_live_version_itself_is_blessed() -> None:
    found = check({"metric": "bleu", "gain": 5}, evaluation("same"), evaluation("same"))
    assert found.passed
    assert found.reason == "The challenger is itself the champion."


@pytest.mark.parametrize("champion", [None, evaluation("old")])
@pytest.mark.parametrize("rule", [{"minimum": 0}, {"maximum": 100}, {"margin": 5}, {"gain": 0}])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_never_passes(champion: Evaluation | None, rule: dict, broken: float) -> None:
    found = check({"metric": "bleu", **rule}, evaluation(bleu=broken), champion)
    assert not found.passed
    assert found.value is None
    assert "not a number" in found.reason


def test_a_champion_whose_value_is_not_a_number_cannot_be_compared() -> None:
    found = check({"metric": "bleu", "margin": 5}, evaluation(), evaluation("old", bleu=math.nan))
    assert not found.passed
    assert "cannot be compared" in found.reason


def test_a_comparison_with_a_champion_without_the_metric_passes_only_with_a_limit() -> None:
    ours = evaluation()
    ours.metrics["perplexity"] = MetricValue(8.0, False, "s")
    rule, limit = {"metric": "perplexity", "margin": 1}, {"metric": "perplexity", "maximum": 10}
    alone = check(rule, ours, evaluation("old"))
    assert not alone.passed
    assert "it has no Perplexity" in alone.reason
    assert all(
        found.passed for found in check_rules(Options(gate=[limit, rule]).gate, EvaluationPair(ours, evaluation("old")))
    )


def test_a_metric_of_human_evaluation_without_ratings_never_passes() -> None:
    found = check({"metric": "human_preference", "minimum": 50}, evaluation(), evaluation("old"))
    assert not found.passed
    assert "no human evaluation" in found.reason


@given(
    st.sampled_from(["minimum", "maximum", "margin", "gain"]),
    st.sampled_from(["bleu", "empty_outputs"]),
    st.integers(3000, 7000),
    st.integers(0, 3000),
    st.sampled_from([-1, 0, 1]),
)
def test_exactly_the_limit_passes_and_a_hundredth_beyond_it_fails(
    kind: str, metric: str, theirs: int, number: int, beyond: int
) -> None:
    # In hundredths, computed exactly: as floats, 80 - 79.9 is more than 0.1.
    side = -1 if kind == "maximum" or (kind in {"margin", "gain"} and metric == "empty_outputs") else 1
    limit = {"margin": theirs - side * number, "gain": theirs + side * number}.get(kind, number)
    ours = limit - side * beyond
    found = check(
        {"metric": metric, kind: number / 100},
        evaluation(**{metric: ours / 100}),
        evaluation("old", **{metric: theirs / 100}),
    )
    assert found.passed == (beyond <= 0)
    assert found.limit == pytest.approx(limit / 100)


def test_equal_values_are_no_loss_that_is_tolerated() -> None:
    found = check({"metric": "bleu", "margin": 1}, evaluation(bleu=40.0), evaluation("old", bleu=40.0))
    assert (found.passed, found.reason) == (True, "BLEU: 40.00 equals the champion's 40.00.")


def test_differences_are_not_rounded_beyond_the_precision_of_a_float() -> None:
    assert check({"metric": "bleu", "margin": 0.1}, evaluation(bleu=79.9), evaluation("old", bleu=80.0)).passed
    assert check({"metric": "bleu", "gain": 0.2}, evaluation(bleu=0.3), evaluation("old", bleu=0.1)).passed
    for rule, theirs in (({"margin": 0.5}, 40.5), ({"gain": 0.5}, 39.5), ({"margin": 0}, 40)):
        found = check({"metric": "bleu", **rule}, evaluation(bleu=40 - 1e-8), evaluation("old", bleu=theirs))
        assert not found.passed


@pytest.mark.parametrize(
    ("rule", "value", "passed", "reason"),
    [
        ({"minimum": 30}, 30.0, True, "BLEU: 30.00 meets the limit of at least 30."),
        ({"minimum": 30.5}, 30.0, False, "BLEU: 30.00 misses the limit of at least 30.5."),
        ({"maximum": 30}, 30.0, True, "BLEU: 30.00 meets the limit of at most 30."),
        ({"maximum": 29.5}, 30.0, False, "BLEU: 30.00 misses the limit of at most 29.5."),
        (
            {"minimum": 29, "confident": True}, 29.0, True,
            "BLEU: 30.00, with 95% confidence at least 29.00, meets the limit of at least 29.",
        ),
        (
            {"minimum": 29.5, "confident": True}, 29.0, False,
            "BLEU: 30.00, with 95% confidence at least 29.00, misses the limit of at least 29.5.",
        ),
        (
            {"maximum": 31, "confident": True}, 31.0, True,
            "BLEU: 30.00, with 95% confidence at most 31.00, meets the limit of at most 31.",
        ),
        (
            {"maximum": 30.5, "confident": True}, 31.0, False,
            "BLEU: 30.00, with 95% confidence at most 31.00, misses the limit of at most 30.5.",
        ),
    ],
)  # fmt: skip
def test_a_limit_gives_its_reason(rule: dict, value: float, passed: bool, reason: str) -> None:
    found = check({"metric": "bleu", **rule}, evaluation())
    assert (found.value, found.passed, found.reason) == (value, passed, reason)
    assert found.limit == rule.get("minimum", rule.get("maximum"))


@pytest.mark.parametrize("end", [None, math.nan, math.inf])
@pytest.mark.parametrize("kind", ["minimum", "maximum"])
def test_a_confident_limit_without_an_interval_fails(kind: str, end: float | None) -> None:
    ours = replace(evaluation(), metrics={"bleu": MetricValue(30.0, True, "s", end, end)})
    found = check({"metric": "bleu", kind: 30, "confident": True}, ours)
    assert (found.passed, found.value, found.limit) == (False, 30, 30)
    assert found.reason == "BLEU: it has no confidence interval."


@dataclass(frozen=True)
class PairWithPValues(EvaluationPair):
    """Evaluations whose difference in BLEU has given p-values."""

    p_bootstrap: float = 1.0
    p_randomization: float = 1.0

    @property
    def comparisons(self) -> dict[str, Comparison]:
        return {"bleu": Comparison(0, 0, 0, self.p_bootstrap, self.p_randomization)}


@dataclass(frozen=True)
class PairWithComparison(EvaluationPair):
    """Evaluations with a given difference in every metric."""

    comparison: Comparison | None = None

    @property
    def comparisons(self) -> dict[str, Comparison]:
        return dict.fromkeys(self.challenger.metrics, self.comparison) if self.comparison else {}


@pytest.mark.parametrize(
    ("rule", "ours", "p_value", "passed", "said"),
    [
        ({"margin": 1}, 38.0, 0.04, False, "is worse by 2.00 than the champion's 40.00; a loss of 1 is tolerated; p ="),
        ({"margin": 1}, 38.0, 0.05, True, "p = 0.0500 by randomization, not significant."),
        ({"margin": 1}, 38.0, 0.06, True, "p = 0.0600 by randomization, not significant."),
        ({"margin": 1}, 39.0, 0.01, True, "p = 0.0100 by randomization, significant."),
        ({"gain": 1}, 41.0, 0.04, True, "is better by 1.00 than the champion's 40.00; a gain of 1 is required; p = "),
        ({"gain": 1}, 41.0, 0.05, False, "p = 0.0500 by randomization, not significant."),
        ({"gain": 1}, 40.5, 0.01, False, "a gain of 1 is required; p = 0.0100 by randomization, significant."),
        ({"gain": 1}, 40.0, 1.0, False, "40.00 equals the champion's 40.00; a gain of 1 is required; p = 1.0000"),
    ],
)
def test_a_p_value_below_the_significance_is_significant(
    rule: dict, ours: float, p_value: float, passed: bool, said: str
) -> None:
    champion = evaluation("old", bleu=40.0)
    pair = PairWithPValues(evaluation(bleu=ours), champion, p_bootstrap=0.5, p_randomization=p_value)
    options = Options(gate=[{"metric": "bleu", "significance": 0.05, "test": "randomization", **rule}])
    (found,) = check_rules(options.gate, pair)
    assert (found.passed, found.p_value, found.value, found.champion) == (passed, p_value, ours, 40.0)
    assert said in found.reason


def test_without_a_significance_the_p_value_is_shown_nowhere_and_decides_nothing() -> None:
    pair = PairWithPValues(evaluation(bleu=38.0), evaluation("old", bleu=40.0))
    (found,) = check_rules(Options(gate=[{"metric": "bleu", "margin": 1}]).gate, pair)
    assert not found.passed
    assert found.reason == "BLEU: 38.00 is worse by 2.00 than the champion's 40.00; a loss of 1 is tolerated."


@pytest.mark.parametrize("rule", [{"margin": 50}, {"gain": 0}])
def test_a_significance_that_cannot_be_tested_fails(rule: dict) -> None:
    found = check({"metric": "bleu", "significance": 0.05, **rule}, evaluation(bleu=50), evaluation("old"))
    assert not found.passed
    assert "; its significance cannot be tested." in found.reason


def test_a_human_metric_without_any_champion_passes_and_says_so() -> None:
    found = check({"metric": "human_preference", "minimum": 50}, evaluation())
    assert (found.passed, found.value, found.limit) == (True, None, None)
    assert found.reason == "Raters' preference, %: there is no champion to compare with."
    unmeasured = check({"metric": "human_preference", "minimum": 50}, evaluation(), problem="it does not load")
    assert (unmeasured.passed, unmeasured.reason) == (False, "Raters' preference, %: there is no human evaluation.")


def test_a_failing_rule_reports_the_slice_that_misses_most_and_names_all() -> None:
    names = {"north": 24.0, "south": 10.0, "east": 26.0}
    found = check({"metric": "bleu", "minimum": 25, "slices": "all"}, replace(evaluation(), slices=slices(**names)))
    assert (found.passed, found.value, found.limit) == (False, 10, 25)
    assert found.reason == (
        "BLEU of north: 24.00 misses the limit of at least 25. BLEU of south: 10.00 misses the limit of at least 25."
    )


@pytest.mark.parametrize(("kind", "number"), [("minimum", 20), ("maximum", 35)])
def test_a_passing_rule_reports_the_slice_closest_to_the_limit(kind: str, number: float) -> None:
    names = {"far": 28.0, "near": 21.0 if kind == "minimum" else 34.0, "between": 27.0}
    found = check({"metric": "bleu", kind: number, "slices": "all"}, replace(evaluation(), slices=slices(**names)))
    assert (found.passed, found.value, found.limit) == (True, names["near"], number)
    assert found.reason.startswith("All slices pass (3); closest to the limit: BLEU of near: ")


def test_a_slice_that_the_champion_lacks_fails_and_is_the_worst() -> None:
    ours = replace(evaluation(), slices=slices(north=30, south=30))
    theirs = replace(evaluation("old"), slices=slices(south=50))
    found = check({"metric": "bleu", "margin": 1, "slices": "slice"}, ours, theirs)
    assert (found.passed, found.value, found.limit, found.champion) == (False, 30, None, None)
    assert found.reason.startswith("BLEU of north: the champion was not evaluated on this slice. BLEU of south: 30.00")
    unmeasured = replace(theirs, slices=[replace(one, metrics={}) for one in slices(north=30, south=30)])
    assert not check({"metric": "bleu", "margin": 1, "slices": "slice"}, ours, unmeasured).passed


def test_a_rule_on_slices_says_how_large_they_must_be() -> None:
    small = replace(evaluation(), slices=slices(north=30), min_slice_size=51)
    found = check({"metric": "bleu", "minimum": 1, "slices": "all"}, small)
    assert (found.value, found.limit, found.champion) == (None, None, None)
    assert found.reason == "BLEU: the test set has no slice of this kind with 51 sentences or more."
    assert check({"metric": "bleu", "minimum": 1, "slices": "all"}, replace(small, min_slice_size=50)).passed


def test_only_a_limit_that_protects_the_same_metric_decides_instead_of_a_champion() -> None:
    compared, problem = {"metric": "bleu", "margin": 1}, "it does not load"
    for other, decides in (
        ({"metric": "bleu", "minimum": 1}, True),
        ({"metric": "bleu", "maximum": 100}, False),
        ({"metric": "bleu", "minimum": 0}, False),
        ({"metric": "headline", "minimum": 1}, True),
        ({"metric": "chrf", "minimum": 1}, False),
        ({"metric": "bleu", "gain": 1}, False),
    ):
        found = check_rules(Options(gate=[compared, other]).gate, EvaluationPair(evaluation(), None, problem))[0]
        assert found.passed is decides
        assert (found.value, found.limit) == (30, None)
        assert found.reason == "The champion cannot be evaluated (it does not load); " + (
            "the minimum on BLEU decides instead."
            if decides
            else "no rule sets a minimum for BLEU that would decide instead, so this rule fails."
        )


@pytest.mark.parametrize("rule", [{"margin": 0}, {"gain": 99}])
def test_the_first_model_passes_every_comparison(rule: dict) -> None:
    found = check({"metric": "bleu", **rule}, evaluation())
    assert (found.passed, found.value, found.limit, found.champion) == (True, 30, None, None)
    assert found.reason == "BLEU: no version is live yet to compare with."


def test_without_another_version_the_rules_name_the_version_that_each_of_them_lacks() -> None:
    rules = [{"metric": "bleu", "margin": 1, "against": against} for against in ("champion", "best", "baseline")]
    first = EvaluationPair(evaluation(), None)
    assert [found.reason for found in check_rules(Options(gate=rules).gate, first)] == [
        "BLEU: no version is live yet to compare with.",
        "BLEU: there is no best version so far to compare with.",
        "BLEU: training did not start from a pretrained checkpoint, so there is no baseline.",
    ]


@pytest.mark.parametrize(
    ("limit", "decides"),
    [({"maximum": 40}, True), ({"maximum": 100}, False), ({"minimum": 0}, False), ({"minimum": 50}, False)],
)
def test_where_lower_is_better_only_a_maximum_protects(limit: dict, decides: bool) -> None:
    rules = [{"metric": "empty_outputs", "margin": 1}, {"metric": "empty_outputs", **limit}]
    found = check_rules(Options(gate=rules).gate, EvaluationPair(evaluation(), None, "it does not load"))[0]
    assert found.passed is decides


def test_the_default_gate_does_not_pass_without_the_champion_that_there_is() -> None:
    results = check_rules(DEFAULT, EvaluationPair(evaluation(), None, "its files are missing: /models/3"))
    assert [result.passed for result in results] == [True, False, False]


def test_an_empty_fingerprint_is_no_models() -> None:
    found = check({"metric": "bleu", "margin": 1}, evaluation("", bleu=20), evaluation("", bleu=30))
    assert not found.passed


PAIR = (evaluation(bleu=39.0), evaluation("old", bleu=40.0))


@pytest.mark.parametrize(
    ("margin", "low", "passed", "said"),
    [
        (2, -2.0, True, "a loss of 2 is tolerated; with 95% confidence a loss of at most 2.00."),
        (2, -2.01, False, "its 95% interval allows a loss of 2.01; a larger test set narrows it."),
        (
            0.5,
            -2.0,
            False,
            "a loss of 0.5 is tolerated; its 95% interval allows a loss of 2.00.",
        ),
        (2, 0.25, True, "with 95% confidence a gain of at least 0.25."),
    ],
)
def test_a_confident_margin_holds_for_the_worse_end_of_the_difference(
    margin: float, low: float, passed: bool, said: str
) -> None:
    pair = PairWithComparison(*PAIR, comparison=Comparison(-1.0, low, 1.0, 1.0, 1.0))
    (found,) = check_rules(Options(gate=[{"metric": "bleu", "margin": margin, "confident": True}]).gate, pair)
    assert found.passed is passed
    assert found.reason.endswith(said)
    # The limit is the value that would pass with an interval as wide as this one.
    assert found.limit == pytest.approx(40 - margin + (-1 - low))
    assert passed == ((found.limit or 0) - 1e-9 <= 39)


def test_a_margin_with_significance_passes_what_a_small_test_set_cannot_prove_and_a_confident_one_does_not() -> None:
    pair = PairWithComparison(
        evaluation(bleu=30.0), evaluation("old", bleu=40.0), comparison=Comparison(-10.0, -22.0, 1.0, 0.2, 0.2)
    )
    rules = [{"metric": "bleu", "margin": 2, "significance": 0.05}, {"metric": "bleu", "margin": 2, "confident": True}]
    assert [found.passed for found in check_rules(Options(gate=rules).gate, pair)] == [True, False]


def test_where_lower_is_better_the_worse_end_is_the_upper_one() -> None:
    ours, theirs = evaluation(empty_outputs=5.0), evaluation("old", empty_outputs=4.5)
    rule = {"metric": "empty_outputs", "margin": 2, "confident": True}
    for high, passed in ((2.0, True), (2.5, False)):
        pair = PairWithComparison(ours, theirs, comparison=Comparison(0.5, -9.0, high, 1.0, 1.0))
        assert check_rules(Options(gate=[rule]).gate, pair)[0].passed is passed


@pytest.mark.parametrize(("low", "p_value", "passed"), [(1.0, 0.04, True), (1.0, 0.05, False), (0.9, 0.001, False)])
def test_a_confident_gain_is_also_significant(low: float, p_value: float, passed: bool) -> None:
    comparison = Comparison(2.0, low, 3.0, p_value, p_value)
    pair = PairWithComparison(evaluation(bleu=42.0), evaluation("old", bleu=40.0), comparison=comparison)
    assert check_rules(Options(gate=[{"metric": "bleu", "gain": 1, "confident": True}]).gate, pair)[0].passed is passed


@pytest.mark.parametrize("comparison", [None, Comparison(0.0, math.nan, math.nan, 1.0, 1.0)])
def test_a_confident_margin_without_an_interval_fails(comparison: Comparison | None) -> None:
    pair = PairWithComparison(*PAIR, comparison=comparison)
    (found,) = check_rules(Options(gate=[{"metric": "bleu", "margin": 50, "confident": True}]).gate, pair)
    assert (found.passed, "; the difference has no confidence interval." in found.reason) == (False, True)


def test_a_rule_compares_with_the_version_that_it_names() -> None:
    rules = [{"metric": "bleu", "margin": 1}, {"metric": "bleu", "margin": 1, "against": "best"}]
    ours = evaluation(bleu=30.0)
    pair = EvaluationPair(ours, evaluation("old", bleu=30.5))
    best = EvaluationPair(ours, evaluation("older", bleu=32.0))
    against_champion, against_best = check_rules(Options(gate=rules).gate, pair, best)
    assert (against_champion.passed, against_champion.champion, against_champion.against) == (True, 30.5, "champion")
    assert (against_best.passed, against_best.champion, against_best.against) == (False, 32.0, "best")
    assert against_best.rule == "BLEU within 1 of the best version's"
    assert against_best.reason.startswith("BLEU: 30.00 is worse by 2.00 than the best version's 32.00")
    # Without another best version, the champion is the best.
    assert [found.champion for found in check_rules(Options(gate=rules).gate, pair)] == [30.5, 30.5]


def test_each_version_has_its_own_problem() -> None:
    rules = [{"metric": "bleu", "margin": 1}, {"metric": "bleu", "margin": 1, "against": "best"}]
    pair, best = EvaluationPair(evaluation(), evaluation("old")), EvaluationPair(evaluation(), None, "it is damaged")
    found = check_rules(Options(gate=rules).gate, pair, best)
    assert [one.passed for one in found] == [True, False]
    assert found[1].reason.startswith("The best version so far cannot be evaluated (it is damaged); ")


@pytest.mark.parametrize("kind", ["minimum", "margin"])
def test_a_slice_whose_value_is_not_a_number_fails(kind: str) -> None:
    broken = replace(evaluation(), slices=slices(north=math.nan))
    found = check({"metric": "bleu", kind: 0, "slices": "all"}, broken, evaluation("old"))
    assert not found.passed
    assert found.reason == "BLEU of north: the challenger's value is not a number."


def test_a_gain_within_the_interval_is_named_as_one() -> None:
    pair = PairWithComparison(*PAIR[::-1], comparison=Comparison(1.0, 0.25, 2.0, 0.01, 0.01))
    (found,) = check_rules(Options(gate=[{"metric": "bleu", "gain": 0.5, "confident": True}]).gate, pair)
    assert "its 95% interval allows a gain of only 0.25; a larger test set narrows it." in found.reason
    other = PairWithComparison(*PAIR, comparison=Comparison(-1.0, -1.25, 0.0, 0.01, 0.01))
    (found,) = check_rules(Options(gate=[{"metric": "bleu", "gain": 0.5, "confident": True}]).gate, other)
    assert "its 95% interval allows a loss of 1.25." in found.reason


@pytest.mark.parametrize(
    ("rule", "metric", "protects"),
    [
        ({"minimum": 0.01}, "bleu", True),
        ({"minimum": 0}, "bleu", False),
        ({"maximum": 99}, "bleu", False),
        ({"margin": 1}, "bleu", False),
        ({"maximum": 99.9}, "empty_outputs", True),
        ({"maximum": 100}, "empty_outputs", False),
        ({"maximum": 1000}, "ter", True),
        ({"minimum": 1}, "ter", False),
        ({"maximum": 1}, "length_ratio", False),
    ],
)
def test_a_limit_protects_where_it_can_fail(rule: dict, metric: str, protects: bool) -> None:
    (made,) = Options(gate=[{"metric": metric, **rule}]).gate
    assert made.protects(METRICS[metric]) is protects
