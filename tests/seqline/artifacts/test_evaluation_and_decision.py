"""Evaluations, decisions, summaries and human evaluations: files of the previous version are read, others refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.decision import Decision, RuleResult, read_decision, write_decision
from seqline.artifacts.evaluation import (
    Comparison,
    Evaluation,
    MetricValue,
    Sentence,
    Slice,
    read_evaluation,
    write_evaluation,
)
from seqline.artifacts.human_evaluation import HumanEvaluation, read_human_evaluation
from seqline.artifacts.run_summary import DecisionSummary, Summary, read_summary, write_summary
from seqline.errors import UserError

BLEU = {"value": 31.5, "higher_is_better": True, "signature": "tok:13a", "low": 30.0, "high": 33.0}
METRICS = {"bleu": MetricValue(31.5, True, "tok:13a", 30.0, 33.0)}
OLD_EVALUATION = {
    "schema_version": 2,
    "absent": False,
    "model_fingerprint": "m",
    "corpus_fingerprint": "c",
    "sentences": 40,
    "metrics": {"bleu": BLEU},
    "seconds": 1.5,
    "counting_seconds": 0.5,
    "problem": "",
    "task": "translation",
    "language": "de",
    "decoding": {"beam_size": 4},
    "slices": [{"slicing": "length", "name": "short", "sentences": 10, "metrics": {"bleu": BLEU}}],
    "smallest_slice": 7,
}
OLD_RULE = {
    "rule": "BLEU at least 20",
    "figure": 31.5,
    "limit": 20.0,
    "passed": True,
    "reason": "BLEU: 31.50 meets the limit of at least 20.",
    "champion": None,
    "p_value": None,
}
RULE = RuleResult("BLEU at least 20", 31.5, 20.0, True, "BLEU: 31.50 meets the limit of at least 20.")
OLD_DECISION = {
    "schema_version": 2,
    "blessed": True,
    "model_fingerprint": "m",
    "rules": [OLD_RULE],
    "challenger": {"bleu": BLEU},
    "champion": None,
    "samples": [{"source": "a", "reference": "b", "output": "c", "score": -0.5}],
    "comparisons": {"bleu": {"difference": 1, "low": 0, "high": 2, "p_bootstrap": 0.01, "p_randomization": 0.02}},
    "problem": "",
    "human": {},
    "movement": [[1, 0], [0, 1]],
    "evaluations": ["a", "b"],
}
EVALUATION = Evaluation(
    False, "m", "c", 40, METRICS, 1.5, 0.5, "", "translation", "de", {"beam_size": 4},
    [Slice("length", "short", 10, METRICS)], 7,
)  # fmt: skip
DECISION = Decision(
    True, "m", [RULE], METRICS, None, [Sentence("a", "b", "c", -0.5)], {"bleu": Comparison(1, 0, 2, 0.01, 0.02)},
    movement=[[1, 0], [0, 1]], evaluations=("a", "b"),
)  # fmt: skip


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def test_an_evaluation_is_read_as_written(tmp_path: Path) -> None:
    write_evaluation(tmp_path, EVALUATION)
    assert read_evaluation(tmp_path) == EVALUATION
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["schema_version"] == 3
    assert content["min_slice_size"] == 7


def test_an_evaluation_of_version_2_is_read(tmp_path: Path) -> None:
    write(tmp_path / "evaluation.json", OLD_EVALUATION)
    assert read_evaluation(tmp_path) == EVALUATION


@pytest.mark.parametrize("change", [{"schema_version": 1}, {"schema_version": 4}, {"metrics": {"bleu": 31.5}}])
def test_any_other_evaluation_is_refused_with_what_to_do(tmp_path: Path, change: dict[str, Any]) -> None:
    write(tmp_path / "evaluation.json", {**OLD_EVALUATION, **change})
    with pytest.raises(UserError, match=r"evaluation\.json .*; evaluate the model with this version of Seqline"):
        read_evaluation(tmp_path)


def test_a_decision_is_read_as_written(tmp_path: Path) -> None:
    write_decision(tmp_path / "decision", DECISION)
    assert read_decision(tmp_path / "decision") == DECISION
    content = json.loads((tmp_path / "decision" / "decision.json").read_text())
    assert (content["schema_version"], content["rules"][0]["value"]) == (3, 31.5)


def test_a_decision_of_version_2_is_read(tmp_path: Path) -> None:
    write(tmp_path / "decision.json", OLD_DECISION)
    assert read_decision(tmp_path) == DECISION


@pytest.mark.parametrize(
    "change", [{"schema_version": 1}, {"rules": [{**OLD_RULE, "passed": 1}]}, {"rules": []}, {"challenger": []}]
)
def test_any_other_decision_is_refused_with_what_to_do(tmp_path: Path, change: dict[str, Any]) -> None:
    write(tmp_path / "decision.json", {**OLD_DECISION, **change})
    with pytest.raises(UserError, match="; run bless with this version of Seqline"):
        read_decision(tmp_path)


def test_summaries_of_this_version_and_version_1_are_read(tmp_path: Path) -> None:
    summary = Summary("run", "SUCCEEDED", metrics=METRICS, decision=DecisionSummary(True, "m", [RULE]))
    write_summary(tmp_path, summary)
    assert read_summary(tmp_path) == summary
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["schema_version"] == 2
    old = {"blessed": True, "model_fingerprint": "m", "rules": [OLD_RULE]}
    write(tmp_path / "summary.json", {**content, "schema_version": 1, "decision": old})
    assert read_summary(tmp_path) == summary


def test_a_human_evaluation_is_read_as_written_or_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "human.json"
    human = HumanEvaluation("new", "old", "c", ["Ada"], 30, 18, 0, 12, METRICS)
    human.write(path)
    assert read_human_evaluation(str(path)) == human
    for content in ({**json.loads(path.read_text()), "schema_version": 2}, {"schema_version": 1}):
        write(path, content)
        with pytest.raises(UserError, match=r"human_evaluation: .*human\.json .*; write it with `seqline rate import`"):
            read_human_evaluation(str(path))
