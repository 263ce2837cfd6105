"""The pretrained checkpoint that training started from, as a version to compare with."""

from pathlib import Path

from seqline.artifacts.decision import Decision
from seqline.components.bless.options import Options
from seqline.components.bless.stage import bless
from tests.components.bless.evaluations import absent, measured


def decide(folder: Path, wrong: int, baseline: Path, rules: tuple[dict[str, object], ...] = ()) -> Decision:
    """The decision about a challenger of which every output whose number `wrong` divides is wrong, and no champion."""
    pages = folder / "decision", folder / "report.html"
    challenger, none = measured(folder / "challenger", "new", wrong), absent(folder / "none")
    return bless(challenger, none, *pages, options=Options(gate=list(rules)), baseline=baseline)


def test_a_model_that_fine_tuning_made_worse_is_not_blessed_by_default(tmp_path: Path) -> None:
    made = decide(tmp_path / "worse", 3, measured(tmp_path / "base", "base", 6))
    assert not made.blessed
    (failed,) = [rule for rule in made.rules if not rule.passed]
    assert failed.against == "baseline"
    assert "than the pretrained baseline's" in failed.reason
    assert decide(tmp_path / "better", 6, measured(tmp_path / "other", "base", 3)).blessed


def test_without_a_checkpoint_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    made = decide(tmp_path / "scratch", 3, absent(tmp_path / "base"))
    assert made.blessed
    assert len(made.rules) == 3
    rule = {"metric": "bleu", "gain": 1.0, "against": "baseline"}
    made = decide(tmp_path / "ruled", 3, absent(tmp_path / "bare"), (rule,))
    assert made.rules[0].passed
    assert "training did not start from a pretrained checkpoint" in made.rules[0].reason


def test_a_baseline_that_cannot_be_measured_passes_nothing(tmp_path: Path) -> None:
    made = decide(tmp_path / "run", 6, absent(tmp_path / "base", problem="its files are missing"))
    assert not made.blessed
    assert "The pretrained baseline cannot be evaluated (its files are missing)" in made.rules[-1].reason
