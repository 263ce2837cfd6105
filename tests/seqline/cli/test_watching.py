"""What a finished run on a laptop prints."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seqline.cli.watching import Watch, show_summary
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
    assert "BLEU 3.00 is below 20." in text


def test_every_task_from_the_cache_has_a_line_though_it_has_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(Console(width=200))
    for _ in range(2):
        watch.show(Run("r", "p", "vertex", tasks=[Task("tokenize", "cached"), Task("train", "cached")]))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["tokenize", "train"]
