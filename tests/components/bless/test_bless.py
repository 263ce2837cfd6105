import json
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.decision import Decision, RuleResult, read_decision
from seqline.artifacts.evaluation import (
    Evaluation,
    MetricValue,
    Sentence,
    Slice,
    append_sentences,
    read_evaluation,
    read_sentences,
    write_evaluation,
)
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.movement import movement
from seqline.components.bless.options import Options
from seqline.components.bless.rules import DEFAULT
from seqline.components.bless.stage import bless
from seqline.errors import UserError
from seqline.metrics.batch import Batch
from seqline.metrics.resampling import compare
from seqline.metrics.slices import find_slices
from seqline.metrics.statistics import Tally
from seqline.metrics.test_set import Row
from seqline.schema.stage_command import run

SCORES = st.floats(0, 100, allow_nan=False)
HIGHER = {"bleu": True, "chrf": True, "empty_outputs": False, "latency_p95": False, "length_ratio": None}


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.components.bless.evaluation_pair.compare", partial(compare, resamples=300, trials=300))


def evaluation(model: str = "new", signature: str = "tok:13a", **values: float) -> Evaluation:
    """An evaluation as the stage makes it."""
    numbers = {"bleu": 30.0, "chrf": 55.0, "empty_outputs": 0.0, "latency_p95": 90.0, "length_ratio": 1.0, **values}
    metrics = {
        name: MetricValue(value, HIGHER[name], signature, value - 1, value + 1) for name, value in numbers.items()
    }
    return Evaluation(False, model, "corpus", 8, metrics, language="de")


def check(rule: dict, ours: Evaluation, theirs: Evaluation | None = None, problem: str = "") -> RuleResult:
    (found,) = check_rules(Options(gate=[rule]).gate, EvaluationPair(ours, theirs, problem))
    return found


ROWS = [Row(f"source {n} word", f"the reference {n} has words to get right") for n in range(60)]


def measured(folder: Path, model: str, wrong: int, task: str = "translation") -> Path:
    """An evaluation of real texts, in which every output whose number `wrong` divides has wrong words."""
    folder.mkdir(parents=True)
    outputs = [row.reference if n % wrong else f"wrong words {n}" for n, row in enumerate(ROWS)]
    slices = find_slices(ROWS, {})
    tally = Tally(folder, task, "de", len(ROWS), slices)
    tally.add(ROWS, Batch([row.source for row in ROWS], [row.reference for row in ROWS], outputs))
    pairs = zip(ROWS, outputs, strict=True)
    append_sentences(folder, (Sentence(row.source, row.reference, output, -0.5) for row, output in pairs))
    one = Evaluation(False, model, "corpus", len(ROWS), tally.metrics(), 1.0, task=task, language="de")
    write_evaluation(folder, replace(one, slices=tally.sliced(), min_slice_size=10))
    return folder


def absent(folder: Path, problem: str = "") -> Path:
    folder.mkdir(parents=True)
    append_sentences(folder, [])
    write_evaluation(folder, Evaluation(True, "", "corpus", problem=problem))
    return folder


def decide(challenger: Path, champion: Path, rules: list[dict] | None = None) -> Decision:
    home = challenger.parent
    options = Options(gate=rules or [])
    made = bless(challenger, champion, home / "decision", home / "report.html", options=options)
    assert read_decision(home / "decision") == made
    return made


def test_a_better_challenger_is_blessed_and_the_decision_says_why(tmp_path: Path) -> None:
    made = decide(measured(tmp_path / "challenger", "new", 6), measured(tmp_path / "champion", "old", 3))
    assert made.blessed
    assert made.model_fingerprint == "new"
    last = made.rules[-1]
    assert last.rule == "BLEU within 0.5 of the champion's"
    assert last.champion is not None
    assert last.limit == pytest.approx(last.champion - 0.5)
    assert "is better by" in last.reason
    assert 0 < (last.p_value or 1) < 0.05
    comparison = made.comparisons["bleu"]
    assert comparison.low < comparison.difference < comparison.high
    assert comparison.difference == pytest.approx((last.value or 0) - last.champion)
    assert made.samples == list(read_sentences(tmp_path / "challenger", 5))


def test_the_report_shows_the_decision_the_scoreboard_and_the_words_that_differ(tmp_path: Path) -> None:
    decide(measured(tmp_path / "challenger", "new", 4), measured(tmp_path / "champion", "old", 3))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    for shown in ("Blessed", "Biggest losses", "Biggest gains", "ROUGE-Lsum", "By length of the source", "<svg"):
        assert shown in html
    assert '<mark class="bad">wrong</mark>' in html
    assert "<script" not in html
    assert not re.search(r"\d\.\d{5}", html.partition("Provenance")[0])


def test_the_report_names_decoding_options_that_differ(tmp_path: Path) -> None:
    for name, beam in (("challenger", 4), ("champion", 1)):
        folder = measured(tmp_path / name, name, 5)
        write_evaluation(folder, replace(read_evaluation(folder), decoding={"beam_size": beam, "length_penalty": 0.6}))
    decide(tmp_path / "challenger", tmp_path / "champion")
    assert "use different decoding options: beam size." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_movement_counts_sentences_by_the_bands_of_champion_and_challenger() -> None:
    moved = movement(np.array([0.0, 19.9, 50.0, 100.0]), np.array([100.0, 20.0, 59.9, 0.0]))
    assert (moved[0][4], moved[0][1], moved[2][2], moved[4][0]) == (1, 1, 1, 1)
    assert sum(map(sum, moved)) == 4


def test_only_a_significant_regression_beyond_the_margin_fails(tmp_path: Path) -> None:
    rules = [{"metric": "bleu", "margin": 0.5, "significance": 0.05, "test": "randomization"}]
    clear = decide(measured(tmp_path / "1" / "a", "new", 2), measured(tmp_path / "1" / "b", "old", 30), rules)
    assert not clear.blessed
    assert ", significant" in clear.rules[0].reason
    close = decide(measured(tmp_path / "2" / "a", "new", 13), measured(tmp_path / "2" / "b", "old", 16), rules)
    assert close.comparisons["bleu"].difference < -0.5
    assert close.blessed
    assert "not significant" in close.rules[0].reason


def test_a_gain_must_be_significant(tmp_path: Path) -> None:
    rules = [{"metric": "bleu", "gain": 0.5, "significance": 0.05}]
    assert decide(measured(tmp_path / "1" / "a", "new", 30), measured(tmp_path / "1" / "b", "old", 2), rules).blessed
    assert not decide(
        measured(tmp_path / "2" / "a", "new", 16), measured(tmp_path / "2" / "b", "old", 13), rules
    ).blessed


def test_a_loss_beyond_the_margin_in_one_slice_fails(tmp_path: Path) -> None:
    rule = {"metric": "bleu", "margin": 2, "slices": "length", "significance": 0.1}
    made = decide(measured(tmp_path / "challenger", "new", 3), measured(tmp_path / "champion", "old", 30), [rule])
    assert not made.blessed
    assert "characters" in made.rules[0].reason
    assert made.rules[0].p_value is not None


def slices(**values: float) -> list[Slice]:
    return [Slice("slice", name, 50, {"bleu": MetricValue(value, True, "s")}) for name, value in values.items()]


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
        ("Latency, 95th percentile, ms at most 99", True),
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


def test_the_first_model_has_no_champion_to_beat(tmp_path: Path) -> None:
    made = decide(measured(tmp_path / "challenger", "new", 5), absent(tmp_path / "champion"))
    assert made.blessed
    assert made.champion is None
    assert "no champion" in made.rules[-1].reason


def test_a_comparison_with_a_champion_that_cannot_be_measured_passes_only_with_a_limit(tmp_path: Path) -> None:
    challenger, champion = (
        measured(tmp_path / "challenger", "new", 5),
        absent(tmp_path / "champion", "it does not load"),
    )
    made = decide(challenger, champion)
    assert not made.blessed
    assert made.problem == "it does not load"
    assert "no rule limits BLEU, so this rule fails" in made.rules[-1].reason
    assert "it does not load" in (tmp_path / "report.html").read_text(encoding="utf-8")
    rules = [{"metric": "bleu", "minimum": 10}, {"metric": "headline", "margin": 0.5}]
    made = decide(challenger, champion, rules)
    assert made.blessed
    assert "the limit on BLEU decides instead" in made.rules[-1].reason


def test_the_default_gate_rejects_a_model_with_empty_outputs() -> None:
    found = check_rules(DEFAULT, EvaluationPair(evaluation(empty_outputs=100), None))
    assert not all(rule.passed for rule in found)


def test_the_live_version_itself_is_blessed() -> None:
    found = check({"metric": "bleu", "gain": 5}, evaluation("same"), evaluation("same"))
    assert found.passed
    assert found.reason == "The challenger is itself the live version."


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


def test_values_measured_differently_are_refused() -> None:
    with pytest.raises(UserError, match="measured differently"):
        check({"metric": "bleu", "margin": 1}, evaluation(), evaluation("old", signature="tok:zh"))


@pytest.mark.parametrize("change", [{"corpus_fingerprint": "other"}, {"sentences": 9}, {"task": "summarization"}])
def test_different_test_sets_are_refused(tmp_path: Path, change: dict) -> None:
    challenger = measured(tmp_path / "challenger", "new", 5)
    (tmp_path / "champion").mkdir()
    write_evaluation(tmp_path / "champion", replace(evaluation("old"), **{"sentences": len(ROWS), **change}))
    with pytest.raises(UserError, match="different test sets"):
        decide(challenger, tmp_path / "champion")
    assert not (tmp_path / "decision").exists()


def test_without_a_challenger_nothing_is_decided(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no challenger to bless"):
        decide(absent(tmp_path / "challenger"), absent(tmp_path / "champion"))


def test_a_rule_on_a_metric_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UserError, match="rouge1, which the evaluation of new does not have"):
        check({"metric": "rouge1", "minimum": 1}, evaluation())


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
        ([{"metric": "length_ratio", "margin": 1}], "no better side"),
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


@given(SCORES, SCORES, st.floats(0, 100), st.sampled_from(["minimum", "maximum", "margin", "gain"]))
def test_a_rule_that_passes_also_passes_for_a_better_challenger(
    ours: float, theirs: float, value: float, kind: str
) -> None:
    rule, champion = {"metric": "bleu", kind: value}, evaluation("old", bleu=theirs)
    before = check(rule, evaluation(bleu=ours), champion)
    after = check(rule, evaluation(bleu=min(100.0, ours + 1)), champion)
    assert before.passed <= after.passed or kind == "maximum"


@given(SCORES, SCORES, st.floats(0, 100))
def test_a_loss_of_more_than_the_margin_never_passes(ours: float, theirs: float, margin: float) -> None:
    found = check({"metric": "bleu", "margin": margin}, evaluation(bleu=ours), evaluation("old", bleu=theirs))
    if ours < theirs - margin - 1e-6:
        assert not found.passed


def test_a_folder_without_an_evaluation_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation\.json is missing; evaluate the model"):
        decide(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 1}', '{"schema_version": 2, "absent": false}'])
def test_a_broken_evaluation_is_a_users_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "evaluation.json").write_text(text)
    with pytest.raises(UserError, match=r"evaluation\.json"):
        decide(tmp_path / "a", tmp_path / "a")


@pytest.mark.parametrize("change", [{"blessed": "false"}, {"blessed": 1}])
def test_only_true_is_a_blessing(tmp_path: Path, change: dict) -> None:
    decide(measured(tmp_path / "challenger", "new", 5), absent(tmp_path / "champion"))
    path = tmp_path / "decision" / "decision.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match="blessed: input should be a valid boolean"):
        read_decision(tmp_path / "decision")


def test_a_decision_that_blesses_against_its_own_rules_is_refused(tmp_path: Path) -> None:
    rules = [{"metric": "bleu", "minimum": 101}]
    decide(measured(tmp_path / "challenger", "new", 5), absent(tmp_path / "champion"), rules)
    path = tmp_path / "decision" / "decision.json"
    for left in ([], json.loads(path.read_text())["rules"]):
        path.write_text(json.dumps({**json.loads(path.read_text()), "blessed": True, "rules": left}))
        with pytest.raises(UserError, match="every rule passed"):
            read_decision(tmp_path / "decision")


def test_it_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    challenger, champion = measured(tmp_path / "challenger", "new", 5), absent(tmp_path / "champion")
    flags = ["--challenger", str(challenger), "--champion", str(champion), "--report", str(tmp_path / "r.html")]
    flags += ["--decision", str(tmp_path / "alone")]
    assert run(bless, [*flags, "--gate", '[{"metric": "bleu", "minimum": 101}]']) == 0
    assert not read_decision(tmp_path / "alone").blessed
    assert run(bless, [*flags, "--gate", '[{"metric": "blue", "minimum": 1}]']) == 1
    assert "error: gate[0]: there is no metric 'blue'" in capsys.readouterr().err


def test_the_component_returns_the_decision(tmp_path: Path) -> None:
    from kfp.dsl import HTML, Artifact, ClassificationMetrics

    from seqline.components.bless.component import bless as component

    folders = {"challenger": measured(tmp_path / "a", "new", 6), "champion": measured(tmp_path / "b", "old", 3)}
    inputs = {name: Artifact(uri=str(folder)) for name, folder in folders.items()}
    outputs = {"decision": Artifact(uri=str(tmp_path / "d")), "report": HTML(uri=str(tmp_path / "page"))}
    outputs["movement"] = ClassificationMetrics(uri=str(tmp_path / "movement"))
    assert component.python_func(**inputs, **outputs) is True
    matrix = outputs["movement"].metadata["confusionMatrix"]
    assert matrix["annotationSpecs"][0]["displayName"] == "0 to 20"
    assert sum(sum(row["row"]) for row in matrix["rows"]) == len(ROWS)
    assert component.python_func(**inputs, **outputs, gate=[{"metric": "bleu", "minimum": 101}]) is False
    assert outputs["decision"].metadata["blessed"] is False
    assert "misses the limit of at least 101" in outputs["decision"].metadata["reasons"][0]
