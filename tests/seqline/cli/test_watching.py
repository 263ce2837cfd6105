"""What a finished run on a laptop prints."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seqline.cli.json_output import plain
from seqline.cli.watching import Watch, run_content, show_run, show_summary
from seqline.progress import Progress
from seqline.targets.target import Run, Task

RULE = {"passed": False, "reason": "BLEU 3.00 is below 20."}


def shown(folder: Path, capsys: pytest.CaptureFixture[str], **summary: Any) -> str:
    file = folder / "summarize" / "summary" / "summary.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(summary), encoding="utf-8")
    show_summary(Console(width=200), folder)
    return capsys.readouterr().out


def test_a_run_that_decides_nothing_speaks_of_no_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(tmp_path, capsys, run="batch-1", state="SUCCEEDED", decision=None, metrics={}, notes=[])
    assert text == f"Report: {tmp_path / 'report.html'}\n"


def test_a_webhook_that_was_not_notified_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = "Webhook 1 was not notified: env:HOOK is empty or not set"
    assert note in shown(tmp_path, capsys, run="batch-1", state="SUCCEEDED", notes=[note])


def test_a_challenger_that_did_not_pass_has_its_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(tmp_path, capsys, decision={"blessed": False, "rules": [RULE]}, metrics={"bleu": {"value": 3.0}})
    assert "Not deployed" in text
    assert "  ✗ BLEU 3.00 is below 20.\n" in text


def test_each_rule_of_the_gate_is_shown_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passed = {"passed": True, "reason": "Numbers kept, %: 31.73 meets the limit of at least 20."}
    text = shown(
        tmp_path, capsys, decision={"blessed": True, "rules": [passed, RULE]}, metrics={"bleu": {"value": 3.0}}
    )
    assert f"Gate: 1 of 2 rules passed\n  ✓ {passed['reason']}\n  ✗ {RULE['reason']}\n" in text


def test_every_task_from_the_cache_has_a_line_though_it_has_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(Console(width=200))
    for _ in range(2):
        watch.show(Run("r", "p", "vertex", tasks=[Task("tokenize", "cached"), Task("train", "cached")]))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["tokenize", "train"]


def test_sentences_are_whole_in_a_pipe_and_their_brackets_are_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = {"source": "[bold]a", "output": "word " * 60 + "[/]"}
    shown_lines = shown(
        tmp_path,
        capsys,
        decision={"blessed": False, "rules": [RULE]},
        metrics={"bleu": {"value": 3.0}, "chrf": {"value": 4.0}},
        champion_metrics={"bleu": {"value": 2.0}},
        samples=[sample],
    ).splitlines()
    assert shown_lines[:3] == ["METRIC  CHALLENGER  CHAMPION", "bleu    3.00        2.00", "chrf    4.00        -"]
    assert f"  → {sample['output']}" in shown_lines
    assert "  [bold]a" in shown_lines


def test_the_tasks_of_a_run_are_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("epoch 3 of 7", values={"loss": 2.0})
    tasks = [Task("tokenize", "succeeded", 1.0, 12.3, "x" * 200), Task("train", "running", 2.0, 1.0, progress=progress)]
    show_run(Run("r", "p", "vertex", "running", tasks=tasks))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "r: running"
    assert lines[1].split() == ["STAGE", "STATE", "TIME", "METRIC"]
    assert lines[2].split() == ["tokenize", "succeeded", "12.3", "s", "x" * 200]
    assert lines[3].endswith("epoch 3 of 7, loss 2")
    assert json.loads(json.dumps(plain(run_content(Run("r", "p", "vertex", tasks=tasks)))))["tasks"][1]["progress"][
        "text"
    ] == ("epoch 3 of 7")


def test_a_run_that_was_watched_is_not_listed_again_and_names_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("r", "p", "laptop", "succeeded", tasks=[Task("train", "succeeded", 1.0, 2.0)], root=str(tmp_path))
    show_run(run, tasks_shown=True)
    assert capsys.readouterr().out == f"r: succeeded\n{tmp_path}\n"
    (tmp_path / "report.html").touch()
    show_run(run)
    shown = capsys.readouterr().out
    assert "train  succeeded  2.0 s" in shown
    assert shown.endswith(f"Report: {tmp_path / 'report.html'}\n")
