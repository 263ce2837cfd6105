import json
from pathlib import Path

import pytest

from seqline.artifacts.decision import Judged, read_decision
from seqline.artifacts.evaluation import read_sentences
from seqline.artifacts.opponent import Opponent
from seqline.components.bless.stage import bless
from seqline.errors import UserError
from seqline.schema.stage_command import run
from tests.components.bless.evaluations import ROWS, absent, decide, measured


def test_a_better_challenger_is_blessed_and_the_decision_says_why(tmp_path: Path) -> None:
    made = decide(measured(tmp_path / "challenger", "new", 6), measured(tmp_path / "champion", "old", 3))
    assert made.blessed
    assert made.model_fingerprint == "new"
    last = made.rules[1]
    assert last.rule == "BLEU within 2 of the champion's, with 95% confidence"
    assert last.champion is not None
    assert last.limit is not None
    assert last.champion - 2 < last.limit <= (last.value or 0)
    assert "is better by" in last.reason
    assert 0 < (last.p_value or 1) < 0.05
    comparison = made.comparisons["bleu"]
    assert comparison.low < comparison.difference < comparison.high
    assert comparison.difference == pytest.approx((last.value or 0) - last.champion)
    assert made.samples == list(read_sentences(tmp_path / "challenger", 5))


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


def test_the_first_model_has_no_champion_to_beat(tmp_path: Path) -> None:
    made = decide(measured(tmp_path / "challenger", "new", 5), absent(tmp_path / "champion"))
    assert made.blessed
    assert made.champion is None
    assert made.rules[-1].reason == "BLEU: there is no best version so far to compare with."
    assert made.anchor.moves


def test_the_live_version_itself_is_named_as_such(tmp_path: Path) -> None:
    same = absent(tmp_path / "champion", standing="same")
    made = decide(measured(tmp_path / "challenger", "new", 5), same, best=absent(tmp_path / "b", standing="champion"))
    assert made.blessed
    assert [rule.reason for rule in made.rules[1:]] == [
        "The challenger is itself the champion.",
        "The challenger is itself the best version so far.",
    ]
    assert "the live version is the challenger itself" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_evaluation_that_does_not_say_why_it_is_absent_lets_nothing_pass(tmp_path: Path) -> None:
    champion = absent(tmp_path / "champion")
    path = champion / "evaluation.json"
    content = json.loads(path.read_text())
    del content["standing"]  # as written before the reason was recorded
    path.write_text(json.dumps(content))
    made = decide(measured(tmp_path / "challenger", "new", 5), champion)
    assert [rule.passed for rule in made.rules] == [True, False, False]
    assert "does not say why it has no metrics" in made.problem


def test_small_losses_at_every_retraining_end_at_the_best_version(tmp_path: Path) -> None:
    challenger, champion, best = (
        measured(tmp_path / name, name, wrong) for name, wrong in (("c", 9), ("b", 10), ("a", 30))
    )
    rules = [{"metric": "bleu", "margin": 2}, {"metric": "bleu", "margin": 2, "against": "best"}]
    assert decide(challenger, champion, rules[:1], best).blessed
    made = decide(challenger, champion, rules, best)
    assert [rule.passed for rule in made.rules] == [True, False]
    assert made.rules[1].against == "best"
    assert made.anchor.metrics is not None
    assert made.rules[1].champion == made.anchor.metrics["bleu"].value
    assert made.anchor.comparisons["bleu"].difference < -2
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    for shown in ("<h2>Best version so far</h2>", "best version</small>", made.anchor.reason):
        assert shown in html


@pytest.mark.parametrize(
    ("wrong", "moves", "said"),
    [(10, True, "The challenger becomes the best version"), (5, False, "does not become the best version")],
)
def test_the_challenger_becomes_the_best_version_if_it_is_at_least_as_good(
    tmp_path: Path, wrong: int, moves: bool, said: str
) -> None:
    champion, best = measured(tmp_path / "champion", "old", 4), measured(tmp_path / "best", "older", 10)
    made = decide(measured(tmp_path / "challenger", "new", wrong), champion, [{"metric": "bleu", "minimum": 1}], best)
    assert made.blessed
    assert made.anchor.moves is moves
    assert said in made.anchor.reason


def test_a_best_version_that_cannot_be_measured_stays_the_best_and_lets_nothing_pass(tmp_path: Path) -> None:
    challenger, champion = measured(tmp_path / "challenger", "new", 30), measured(tmp_path / "champion", "old", 3)
    made = decide(challenger, champion, best=absent(tmp_path / "best", "its files are missing: /models/1"))
    assert [rule.passed for rule in made.rules] == [True, True, False]
    assert not made.anchor.moves
    assert made.anchor.problem == "its files are missing: /models/1"
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The best version so far cannot be evaluated: its files are missing: /models/1" in html


def test_a_confident_limit_by_slice_has_the_interval_of_each_slice(tmp_path: Path) -> None:
    challenger = measured(tmp_path / "challenger", "new", 3)
    rule = {"metric": "chrf", "slices": "length", "minimum": 50}
    plain, confident = decide(challenger, absent(tmp_path / "champion"), [rule, {**rule, "confident": True}]).rules
    assert plain.passed
    assert "with 95% confidence at least" in confident.reason
    assert (confident.value or 0) < (plain.value or 0)


def test_a_comparison_with_a_champion_that_cannot_be_measured_passes_only_with_a_limit(tmp_path: Path) -> None:
    challenger, champion = (
        measured(tmp_path / "challenger", "new", 5),
        absent(tmp_path / "champion", "it does not load"),
    )
    made = decide(challenger, champion)
    assert not made.blessed
    assert made.problem == "it does not load"
    assert "no rule sets a minimum for BLEU that would decide instead" in made.rules[-1].reason
    assert "it does not load" in (tmp_path / "report.html").read_text(encoding="utf-8")
    rules = [{"metric": "bleu", "minimum": 10}, {"metric": "headline", "margin": 0.5}]
    made = decide(challenger, champion, rules)
    assert made.blessed
    assert "the minimum on BLEU decides instead" in made.rules[-1].reason


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


@pytest.mark.parametrize(
    ("champion", "version", "judged"),
    [
        ({}, "3", Judged("3", "old")),
        ({}, "", Judged("", "old")),
        ({"standing": "none"}, "", Judged()),
        ({"standing": "same"}, "3", Judged("3", "new")),
        ({"problem": "it does not load"}, "3", Judged("3")),
        ({"problem": "it does not load"}, "", None),
    ],
)
def test_the_decision_says_which_live_version_was_compared(
    tmp_path: Path, champion: dict[str, str], version: str, judged: Judged | None
) -> None:
    folder = tmp_path / "champion"
    theirs = absent(folder, **champion) if champion else measured(folder, "old", 3)
    challenger = measured(tmp_path / "challenger", "new", 5)
    made = bless(challenger, theirs, tmp_path / "d", tmp_path / "r.html", champion_version=version)
    assert made.judged == judged
    assert read_decision(tmp_path / "d").judged == judged


def test_a_model_that_was_rolled_back_is_not_blessed_again(tmp_path: Path) -> None:
    challenger, champion = measured(tmp_path / "challenger", "new", 5), measured(tmp_path / "champion", "old", 30)
    reason = "the model new was rolled back on 2026-01-31"
    made = bless(challenger, champion, tmp_path / "d", tmp_path / "r.html", rolled_back=reason)
    assert not made.blessed
    assert [rule.passed for rule in made.rules][-1:] == [False]
    assert made.rules[-1].reason == "The model new was rolled back on 2026-01-31."
    assert "The model new was rolled back on" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_component_returns_the_decision(tmp_path: Path) -> None:
    from kfp.dsl import HTML, Artifact, ClassificationMetrics

    from seqline.components.bless.component import bless as component

    folders = {"challenger": measured(tmp_path / "a", "new", 6), "champion": measured(tmp_path / "b", "old", 3)}
    folders["best"] = absent(tmp_path / "c", standing="champion")
    folders["baseline"] = absent(tmp_path / "base")
    inputs = {name: Artifact(uri=str(folder)) for name, folder in folders.items()}
    outputs = {"decision": Artifact(uri=str(tmp_path / "d")), "report": HTML(uri=str(tmp_path / "page"))}
    outputs["movement"] = ClassificationMetrics(uri=str(tmp_path / "movement"))
    assert component.python_func(**inputs, **outputs) is True
    matrix = outputs["movement"].metadata["confusionMatrix"]
    assert matrix["annotationSpecs"][0]["displayName"] == "0 to 20"
    assert sum(sum(row["row"]) for row in matrix["rows"]) == len(ROWS)
    opponent = Opponent(version="3", fingerprint="old", address="/models/3").to_parameter()
    assert component.python_func(**inputs, **outputs, opponent=opponent) is True
    assert read_decision(tmp_path / "d").judged == Judged("3", "old")
    assert component.python_func(**inputs, **outputs, rolled_back="it was rolled back") is False
    assert component.python_func(**inputs, **outputs, gate=[{"metric": "bleu", "minimum": 101}]) is False
    assert outputs["decision"].metadata["blessed"] is False
    assert "misses the limit of at least 101" in outputs["decision"].metadata["reasons"][0]
