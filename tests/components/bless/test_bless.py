import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.bless.decision import Decision, Verdict, read_decision
from components.bless.rules import Limit, NoRegression, judge
from components.bless.stage import Options, bless
from components.entry import run
from components.errors import UserError
from components.evaluate.evaluation import Evaluation, Figure, Sentence, write_evaluation

SENTENCES = [Sentence(f"source {n}", f"Ziel {n}", f"Ausgabe {n}", -0.5) for n in range(8)]
SCORES = st.floats(0, 100, allow_nan=False)


def evaluation(model: str = "new", corpus: str = "corpus", signature: str = "tok:13a", **values: float) -> Evaluation:
    figures = {"bleu": 30.0, "chrf": 55.0, "empty_outputs": 0.0, **values}
    higher = {"bleu": True, "chrf": True, "empty_outputs": False}
    metrics = {name: Figure(value, higher[name], signature) for name, value in figures.items()}
    return Evaluation(False, model, corpus, len(SENTENCES), metrics, 1.0)


NO_CHAMPION = Evaluation(absent=True, model_fingerprint="", corpus_fingerprint="corpus")


def decide(tmp_path: Path, challenger: Evaluation, champion: Evaluation, options: Options = Options()) -> Decision:  # noqa: B008
    for name, one in (("challenger", challenger), ("champion", champion)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        sentences = [] if one.absent else SENTENCES
        if all(math.isfinite(figure.value) for figure in one.metrics.values()):
            write_evaluation(folder, one, sentences)
        else:
            write_evaluation(folder, evaluation(one.model_fingerprint), sentences)
            content = json.loads((folder / "evaluation.json").read_text())
            content["metrics"] = {name: vars(figure) for name, figure in one.metrics.items()}
            (folder / "evaluation.json").write_text(json.dumps(content))
    made = bless(tmp_path / "challenger", tmp_path / "champion", tmp_path / "decision", options)
    assert read_decision(tmp_path / "decision") == made
    return made


def test_a_better_challenger_is_blessed_and_the_decision_says_why(tmp_path: Path) -> None:
    made = decide(tmp_path, evaluation(bleu=31.2), evaluation("old", bleu=30.0))
    assert made.blessed
    assert made.model_fingerprint == "new"
    assert made.rules[-1] == Verdict(
        rule="BLEU within 0.5 of the champion's",
        figure=31.2,
        limit=29.5,
        passed=True,
        reason="BLEU: 31.20 is better by 1.20 than the champion's 30.00.",
    )
    assert made.champion is not None
    assert made.champion["bleu"].value == 30.0
    assert made.samples == SENTENCES[:5]


def test_a_loss_within_the_margin_is_tolerated_and_one_beyond_is_not(tmp_path: Path) -> None:
    within = decide(tmp_path / "1", evaluation(bleu=39.5), evaluation("old", bleu=40.0))
    beyond = decide(tmp_path / "2", evaluation(bleu=39.49), evaluation("old", bleu=40.0))
    assert within.blessed
    assert not beyond.blessed
    assert beyond.rules[-1].reason == (
        "BLEU: 39.49 is worse by 0.51 than the champion's 40.00; a loss of 0.5 is tolerated."
    )


def test_every_limit_must_be_met_and_every_rule_is_reported(tmp_path: Path) -> None:
    options = Options(limits={"chrf": 60, "bleu": 20, "empty_outputs": 1})
    made = decide(tmp_path, evaluation(bleu=30, chrf=55, empty_outputs=0), NO_CHAMPION, options)
    assert not made.blessed
    assert [(rule.rule, rule.passed) for rule in made.rules] == [
        ("BLEU at least 20", True),
        ("chrF at least 60", False),
        ("Empty outputs, % at most 1", True),
        ("BLEU within 0.5 of the champion's", True),
    ]


def test_where_lower_is_better_the_limit_and_the_margin_turn_round(tmp_path: Path) -> None:
    options = Options(limits={"empty_outputs": 5}, metric="empty_outputs", margin=1)
    made = decide(tmp_path, evaluation(empty_outputs=6), evaluation("old", empty_outputs=4.5), options)
    assert [rule.passed for rule in made.rules] == [False, False]
    assert made.rules[1].limit == 5.5


def test_the_first_model_has_no_champion_to_beat(tmp_path: Path) -> None:
    made = decide(tmp_path, evaluation(), NO_CHAMPION)
    assert made.blessed
    assert made.champion is None
    assert "no champion" in made.rules[-1].reason


def test_a_model_that_says_nothing_is_held_back_without_any_settings(tmp_path: Path) -> None:
    assert not decide(tmp_path, evaluation(empty_outputs=100), NO_CHAMPION).blessed


def test_the_live_version_itself_is_blessed(tmp_path: Path) -> None:
    made = decide(tmp_path, evaluation("same"), evaluation("same"))
    assert made.blessed
    assert made.rules[-1].reason == "The challenger is itself the live version."


@pytest.mark.parametrize("champion", [NO_CHAMPION, evaluation("old")])
@pytest.mark.parametrize("limits", [{}, {"bleu": 0}])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_never_passes(
    tmp_path: Path, champion: Evaluation, limits: dict[str, float], broken: float
) -> None:
    made = decide(tmp_path, evaluation(bleu=broken), champion, Options(limits=limits))
    assert not made.blessed
    assert all(rule.figure is None for rule in made.rules)
    assert "not a number" in made.rules[-1].reason
    assert "bleu" not in made.challenger


def test_a_champion_whose_figure_is_no_number_cannot_be_beaten(tmp_path: Path) -> None:
    made = decide(tmp_path, evaluation(), evaluation("old", bleu=math.nan))
    assert not made.blessed
    assert "cannot be compared" in made.rules[-1].reason


@pytest.mark.parametrize(
    ("challenger", "champion", "message"),
    [
        (NO_CHAMPION, evaluation("old"), "no challenger to judge"),
        (evaluation(), evaluation("old", corpus="other"), "different test texts"),
        (evaluation(), evaluation("old", signature="tok:zh"), "measured differently"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, challenger: Evaluation, champion: Evaluation, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        decide(tmp_path, challenger, champion)
    assert not (tmp_path / "decision").exists()


def test_a_rule_on_a_metric_that_was_not_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rouge1, which the evaluation of new does not have"):
        decide(tmp_path, evaluation(), NO_CHAMPION, Options(metric="rouge1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": {"blue": 20}}, "limits: 'blue'"),
        ({"limits": {"bleu": "20"}}, "bleu must be a number"),
        ({"limits": {"bleu": math.nan}}, "bleu must be a number"),
        ({"metric": "length_ratio"}, "metric: 'length_ratio'"),
        ({"margin": -1.0}, "margin"),
        ({"margin": math.nan}, "margin"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(**options)


@given(st.dictionaries(st.sampled_from(["bleu", "chrf", "empty_outputs"]), SCORES), SCORES, SCORES, st.floats(0, 100))
def test_an_improved_challenger_is_never_judged_worse(
    limits: dict[str, float], ours: float, theirs: float, margin: float
) -> None:
    rules = [*(Limit(name, value) for name, value in limits.items()), NoRegression("bleu", margin)]
    worse, better = evaluation(bleu=ours), evaluation(bleu=min(100.0, ours + 1))
    champion = evaluation("old", bleu=theirs)
    for before, after in zip(judge(rules, worse, champion), judge(rules, better, champion), strict=True):
        assert before.passed <= after.passed


@given(SCORES, SCORES, st.floats(0, 100))
def test_no_champion_is_replaced_by_a_model_below_it_by_more_than_the_margin(
    ours: float, theirs: float, margin: float
) -> None:
    (verdict,) = judge([NoRegression("bleu", margin)], evaluation(bleu=ours), evaluation("old", bleu=theirs))
    if ours < theirs - margin - 1e-6:
        assert not verdict.passed


def test_a_folder_without_an_evaluation_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run evaluate first"):
        bless(tmp_path, tmp_path, tmp_path / "decision")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 9}', '{"schema_version": 1, "absent": false}'])
def test_a_broken_evaluation_is_a_users_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(UserError, match=r"evaluation\.json"):
        bless(tmp_path, tmp_path, tmp_path / "decision")


@pytest.mark.parametrize("change", [{"blessed": "false"}, {"blessed": 1}])
def test_only_true_is_a_blessing(tmp_path: Path, change: dict) -> None:
    decide(tmp_path, evaluation(), NO_CHAMPION)
    path = tmp_path / "decision" / "decision.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not read_decision(tmp_path / "decision").blessed


def test_a_decision_that_blesses_against_its_own_rules_is_refused(tmp_path: Path) -> None:
    decide(tmp_path, evaluation(bleu=1), evaluation("old"))
    path = tmp_path / "decision" / "decision.json"
    for rules in ([], json.loads(path.read_text())["rules"]):
        path.write_text(json.dumps({**json.loads(path.read_text()), "blessed": True, "rules": rules}))
        with pytest.raises(UserError, match="every one of them passed"):
            read_decision(tmp_path / "decision")


def test_it_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decide(tmp_path, evaluation(), NO_CHAMPION)
    flags = ["--challenger", str(tmp_path / "challenger"), "--champion", str(tmp_path / "champion")]
    flags += ["--decision", str(tmp_path / "alone")]
    assert run(bless, [*flags, "--limits", '{"bleu": 99}']) == 0
    assert not read_decision(tmp_path / "alone").blessed
    assert run(bless, [*flags, "--metric", "blue"]) == 1
    assert "error: metric: 'blue'" in capsys.readouterr().err


def test_the_component_hands_on_the_verdict(tmp_path: Path) -> None:
    from kfp.dsl import Artifact

    from components.bless.component import bless as component

    decide(tmp_path, evaluation(bleu=31), evaluation("old"))
    decision = Artifact(uri=str(tmp_path / "by-component"))
    inputs = {name: Artifact(uri=str(tmp_path / name)) for name in ("challenger", "champion")}
    assert component.python_func(**inputs, decision=decision) is True
    assert component.python_func(**inputs, decision=decision, limits={"bleu": 99}) is False
    assert decision.metadata["blessed"] is False
    assert decision.metadata["reasons"][0] == "BLEU: 31.00 misses the limit of at least 99."
