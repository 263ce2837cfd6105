import json
from pathlib import Path

import pytest

from seqline.artifacts.decision import read_decision
from seqline.artifacts.evaluation import read_sentences
from seqline.components.bless.stage import bless
from seqline.errors import UserError
from seqline.schema.stage_command import run
from tests.components.bless.evaluations import ROWS, absent, decide, measured


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
