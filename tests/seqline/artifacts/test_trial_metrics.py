"""Metrics that a trial reports to tuning."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.trial_metrics import FILE, TRIAL, read_report, report

HISTORY = [{"epoch": epoch, "valid_loss": 5.0 / epoch, "loss": 9.0} for epoch in range(1, 151)]


def test_no_file_is_written_outside_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.delenv(TRIAL, raising=False)
    monkeypatch.setattr("seqline.artifacts.trial_metrics.DEFAULT_FILE", str(tmp_path / "metrics"))
    report(HISTORY)
    assert not list(tmp_path.iterdir())


def test_vertex_ais_agent_finds_the_lines_at_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.setenv(TRIAL, "7")
    monkeypatch.setattr("seqline.artifacts.trial_metrics.DEFAULT_FILE", str(tmp_path / "hypertune" / "metrics"))
    report(HISTORY[:2])
    lines = [json.loads(line) for line in (tmp_path / "hypertune" / "metrics").read_text().splitlines()]
    assert [(line["trial"], line["valid_loss"], line["global_step"]) for line in lines] == [
        ("7", "5.0", "1"),
        ("7", "2.5", "2"),
    ]


def test_the_last_reported_values_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics"
    assert read_report(file) == {}
    monkeypatch.setenv(FILE, str(file))
    report(HISTORY)
    found = read_report(file)
    assert list(found) == list(range(51, 151))
    assert found[100] == 0.05
