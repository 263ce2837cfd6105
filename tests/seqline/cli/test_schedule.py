"""`seqline schedule plan` and `apply`, with a target that records its calls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from seqline.cli import main
from seqline.configuration.parameters import Parameters
from seqline.errors import UserError
from seqline.targets.target import Schedule, Template


class Recorder:
    """A target that refuses to upload the pipeline of one schedule."""

    name = "vertex"
    updatable: frozenset[str] = frozenset()

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.saved: list[str] = []

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        output.write_text(pipeline)
        return output

    def digest(self, spec: str) -> str:
        return "d"

    def parameters(self, spec: str) -> Parameters:
        return Parameters("toy", {})

    def run_settings(self) -> dict[str, str]:
        return {}

    def schedules(self) -> list[Schedule]:
        return []

    def upload(self, spec: Path) -> Template:
        if spec.stem == self.refused:
            raise UserError("the registry refuses")
        return Template("reference", "toy", "1")

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        self.saved.append(wanted.name)
        return wanted


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seqline.yaml").write_text(
        "schedules:\n  a: {cron: 0 4 * * 7}\n  b: {cron: 30 2 * * *, timezone: Europe/Paris}\n"
    )
    return tmp_path


def target(monkeypatch: pytest.MonkeyPatch, refused: str = "") -> Recorder:
    made = Recorder(refused)
    monkeypatch.setattr("seqline.cli.schedule._open", lambda target, loaded: made)
    return made


def test_every_pipeline_is_uploaded_before_a_schedule_is_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = target(monkeypatch, refused="b")
    assert main(["schedule", "apply"]) == 1
    assert refusing.saved == []
    willing = target(monkeypatch)
    assert main(["schedule", "apply"]) == 0
    assert willing.saved == ["a", "b"]


def test_plan_and_apply_warn_and_refuse_like_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = target(monkeypatch)
    for command in ("plan", "apply"):
        assert main(["schedule", command]) == 0
        assert "warning: seqline.yaml, line 3: schedules.b.cron: in Europe/Paris, 02:30" in capsys.readouterr().err
    recorder.saved.clear()
    (folder / "more.yaml").write_text("schedules:\n  c: {cron: 0 3 * * *, target: kubeflow, max_runs: 3}\n")
    for command in ("plan", "apply"):
        assert main(["schedule", command, "--config", "seqline.yaml", "--config", "more.yaml"]) == 1
        assert "more.yaml, line 2: schedules.c.max_runs: a KFP server has no max_runs" in capsys.readouterr().err
    assert recorder.saved == []
