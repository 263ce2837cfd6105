"""`make smoke-kubeflow`: its commands are valid, and those of seqline work against a stand-in of the server."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.cli import main as seqline
from seqline.configuration.kubernetes import PodSettings
from seqline.targets.kubeflow import Kubeflow
from tests.smoke_kubeflow import CLAIM, FOLDER, KILL, NAME, PREPARE, RIGHTS, configuration, main, steps
from tests.smoke_steps import undoing
from tests.stand_ins.kfp_server import KfpServer

PLANNED = steps("http://localhost:3000", "kubeflow", "localhost:5001/seqline", f"kserve://kubeflow/{NAME}")
LINES = [step.command for step in (*PLANNED, *undoing(PLANNED))]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KfpServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seqline.targets.kubeflow.target.POLL_SECONDS", 0.0)
    compile_, made = Kubeflow.compile, {}

    def once(self: Kubeflow, pipeline: str, output: Path, defaults: Any = None) -> Path:
        # The same every time, and it takes seconds.
        key = json.dumps([pipeline, defaults])
        if key not in made:
            made[key] = compile_(self, pipeline, tmp_path / f"{len(made)}.yaml", defaults).read_bytes()
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(made[key])
        return output

    monkeypatch.setattr(Kubeflow, "compile", once)
    with KfpServer.running() as running:
        yield running


def test_the_commands_of_seqline_work_against_the_server(server: KfpServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", server.url, "--endpoint", "", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    # What the dry run prints is what a person would paste.
    content = "\n".join(line[4:] for line in printed.splitlines() if line.startswith("#   "))
    FOLDER.mkdir(parents=True)
    (FOLDER / "seqline.yaml").write_text(content)
    digests = dict.fromkeys(("tokenize", "train", "evaluate", "serve"), f"sha256:{'0' * 64}")
    (FOLDER / "images.yaml").write_text(yaml.safe_dump({"images": {"digests": digests}}))
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    calls = [call for line in lines for call in re.findall(r"(?:^|&& |\(|do )seqline ([^&;|)]*)", line)]
    done: list[str] = []
    for call in calls:
        words = shlex.split(call)
        if words[0] in {"images", "sample"} or "$run" in words or "$(cat" in words:
            continue
        assert seqline(words) == 0, (call, capsys.readouterr())
        done.append(" ".join(word for word in words[:2] if not word.startswith("-")))
    assert done.count("run") == 3
    assert {"check", "doctor", "upload", "schedule apply", "schedule list", "schedule delete"} <= set(done)
    # The pipeline's first version, the one by its content, and that of the schedule with its parameters.
    assert [one["display_name"][:7] for one in server.versions.values()] == ["seqline", "sha256-", "sha256-"]
    assert [run["state"] for run in server.runs.values()] == ["SUCCEEDED", "SUCCEEDED", "PENDING"]
    version, *_ = server.versions.values()
    executors = version["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-train"]["pvcMount"][0]["mountPath"] == "/checkpoints"
    assert server.recurring == {}


def test_a_dry_run_prints_every_command_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("a command was carried out"))
    assert main(["--host", "http://localhost:3000", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert [line for line in LINES if line not in shown] == []
    assert list(tmp_path.iterdir()) == []


def test_make_passes_host_namespace_and_repository_on() -> None:
    given = ["HOST=https://kf/pipeline", "NAMESPACE=team-a", "REPOSITORY=r.org/seqline", "DRY_RUN=1"]
    command = ["make", "-n", "-o", "install", "smoke-kubeflow", *given]
    # Under `make test`, MAKEFLAGS would make this make print the directories that it enters.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True, check=True
    )
    words = shlex.split(done.stdout.replace("\\\n", " "))
    assert words[2:] == [
        "tests.smoke_kubeflow",
        "--host",
        "https://kf/pipeline",
        "--namespace",
        "team-a",
        "--repository",
        "r.org/seqline",
        "--dry-run",
    ]


def test_without_a_host_nothing_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--host", ""])
    assert "make smoke-kubeflow HOST=http://localhost:3000" in capsys.readouterr().err


def test_a_failed_step_is_torn_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = PLANNED[:10]
    carried: list[str] = []

    def run(command: list[str], check: bool) -> Any:
        carried.append(command[-1])
        return subprocess.CompletedProcess(command, int(len(carried) == len(begun)))

    monkeypatch.setattr("tests.smoke_steps.subprocess.run", run)
    assert main(["--host", "http://localhost:3000"]) == 1
    assert carried == [step.command for step in (*begun, *undoing(begun))]
    assert f"failed: {begun[-1].title}" in capsys.readouterr().out


def test_a_token_file_is_used_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLINE_SMOKE_TOKEN_FILE", "/token")
    made = configuration("https://kf", "team-a", "r.org/seqline")
    assert made["targets"]["kubeflow"]["login"] == {"token_file": "/token"}


def test_what_the_commands_hold_is_valid() -> None:
    assert yaml.safe_load(CLAIM)["metadata"]["name"] == NAME
    assert {one["metadata"]["name"] for one in yaml.safe_load_all(RIGHTS)} == {NAME}
    (volume,) = json.loads(PREPARE)["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == NAME
    compile(KILL, "kill", "exec")
    for pod in configuration("http://kf", "kubeflow", "r.org/s")["targets"]["kubeflow"]["pods"].values():
        PodSettings.model_validate(pod)


@pytest.mark.parametrize("line", LINES)
def test_every_line_is_bash(line: str) -> None:
    subprocess.run(["bash", "-n", "-c", line], check=True)
