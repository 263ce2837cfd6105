"""Metrics that a trial reports to tuning."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqline.artifacts.trial_metrics import FILE, TRIAL, check_writable, read_report, report
from seqline.errors import UserError

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


NOBODY = 65534


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of another user, as Google's of the metric file is to the user of our images; it is the current one.

    Root may write everywhere, so the test continues as another user. The paths above are root's alone, and the file is
    therefore named without them.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FILE, "output.metrics")
    monkeypatch.setenv(TRIAL, "7")
    root = os.geteuid() == 0
    tmp_path.chmod(0o755 if root else 0o555)
    if root:
        os.seteuid(NOBODY)
    try:
        yield tmp_path
    finally:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o755)


@pytest.fixture
def metric_file(tmp_path: Path) -> Path:
    """The file that Google's folder holds already, which everybody may write."""
    file = tmp_path / "output.metrics"
    file.touch()
    file.chmod(0o666)
    return file


def test_a_trial_reports_where_it_may_create_no_other_file(metric_file: Path, users_folder: Path) -> None:
    with pytest.raises(PermissionError):
        Path("another").touch()
    check_writable()
    report(HISTORY[:2])
    report(HISTORY[:3])
    assert [path.name for path in Path().iterdir()] == ["output.metrics"]
    assert list(read_report(Path("output.metrics"))) == [1, 2, 3]


def test_a_trial_that_may_not_report_says_so_before_it_trains(users_folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"output.metrics: user \d+ cannot report this trial's metrics there \(Permission"
    ):
        check_writable()


def test_a_report_that_is_half_written_is_read_up_to_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics"
    monkeypatch.setenv(FILE, str(file))
    report(HISTORY[:3])
    text = file.read_text()
    for length in range(len(text)):
        file.write_text(text[:length])
        assert list(read_report(file).items()) == list({1: 5.0, 2: 2.5, 3: 5.0 / 3}.items())[: text[:length].count("}")]
    file.write_text(text)
    check_writable()
    assert len(read_report(file)) == 3
