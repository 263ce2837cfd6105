"""`make smoke-vertex`: its commands are valid, and it tears down what it began, whatever fails."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from seqline.cli import app
from seqline.compiling.compiler import parameters_of
from seqline.configuration import load
from tests.smoke_steps import undoing
from tests.smoke_vertex import configuration, main, steps

PLANNED = steps("fresh-project", "us-central1")
LINES = [step.command for step in (*PLANNED, *undoing(PLANNED))]


def seqline_commands() -> list[list[str]]:
    """Every call of seqline, also those within other commands."""
    calls = (re.findall(r"(?:^|&& |\(|; |do )seqline ([^&;|)]*)", line) for line in LINES)
    return [shlex.split(call) for line in calls for call in line]


def test_every_call_of_seqline_has_options_that_exist() -> None:
    calls = seqline_commands()
    assert {call[0] for call in calls} == {
        "check",
        "doctor",
        "images",
        "predict",
        "run",
        "runs",
        "sample",
        "schedule",
        "trigger",
    }
    for call in calls:
        command: Any = get_command(app)
        rest = list(call)
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, call
            command = command.commands[rest.pop(0)]
        context = command.context_class(command, info_name="seqline")
        # An unknown option, or a missing value, is an error of the parser.
        command.make_parser(context).parse_args(rest)


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "seqline.yaml"
    file.write_text(yaml.safe_dump(configuration("fresh-project", "us-central1")))
    loaded = load([file])
    for pipeline in ("training", "tuning"):
        values = loaded.arguments(parameters_of("training"), "vertex", others=pipeline != "training")
    loaded.arguments(parameters_of("training"), "vertex", "smoke")
    loaded.arguments(parameters_of("training"), "vertex", trigger="smoke")
    vertex = loaded.configuration.targets.vertex
    assert vertex
    assert vertex.training
    assert vertex.training.tpu
    assert vertex.training.tpu.topology == "1x1"
    assert vertex.dataflow
    assert values is not None


def test_names_are_those_that_terraform_makes() -> None:
    text = "\n".join(path.read_text() for path in (Path(__file__).parents[1] / "terraform").glob("*.tf"))
    for name in ("-runs", "-data", "-images", "-templates"):
        assert f"${{var.prefix}}{name}" in text
    content = json.dumps(configuration("p1", "us-central1"))
    assert "gs://p1-seqline-runs/" in content
    assert '"${var.project}-${var.prefix}-runs"' in text


def test_a_dry_run_prints_every_command_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("a command was carried out"))
    assert main(["--project", "fresh-project", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert [line for line in LINES if line not in shown] == []
    assert "preset: demo" in shown
    assert list(tmp_path.iterdir()) == []


def test_make_passes_the_project_on() -> None:
    command = ["make", "-n", "-o", "install", "smoke-vertex", "PROJECT=fresh-1", "DRY_RUN=1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert '-m tests.smoke_vertex --project "fresh-1" --dry-run' in done.stdout


def test_without_a_project_nothing_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--project", ""])
    assert "PROJECT=fresh-project-123" in capsys.readouterr().err


@pytest.mark.parametrize("failing", [step.title for step in PLANNED])
def test_what_was_begun_is_torn_down_whatever_fails(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = PLANNED[: [step.title for step in PLANNED].index(failing) + 1]
    carried: list[str] = []

    def run(command: list[str], check: bool) -> Any:
        carried.append(command[-1])
        return subprocess.CompletedProcess(command, int(len(carried) == len(begun)))

    monkeypatch.setattr("tests.smoke_steps.subprocess.run", run)
    assert main(["--project", "fresh-project"]) == 1
    assert carried == [step.command for step in (*begun, *undoing(begun))]
    assert f"failed: {failing}" in capsys.readouterr().out
    assert (Path("build/smoke/seqline.yaml")).is_file()


@pytest.mark.parametrize("line", LINES)
def test_every_line_is_bash(line: str) -> None:
    subprocess.run(["bash", "-n", "-c", line], check=True)
