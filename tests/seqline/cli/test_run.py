"""The flags of `seqline run`, and what commands print as JSON."""

import importlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqline.cli import main
from seqline.cli.exit_codes import ExitCode
from seqline.compiling.compiler import parameters_of
from seqline.configuration import load
from seqline.targets import laptop
from seqline.targets.target import Run

demo = importlib.import_module("seqline.cli.demo")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The parameters of the run that a command starts, which runs nothing."""
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {}

    def run(spec: Path, values: dict[str, Any], *rest: Any) -> Run:
        given.update(values)
        return Run("r", "p", "laptop", "succeeded", root=str(tmp_path))

    monkeypatch.setattr(laptop, "run", run)
    monkeypatch.setattr(laptop, "can_listen", lambda *words: pytest.fail("no port is needed"))
    return given


def test_the_endpoint_none_deploys_to_no_endpoint_and_needs_no_port(started: dict[str, Any], tmp_path: Path) -> None:
    assert main(["run", "--data", "pairs.tsv", "--endpoint", "none"]) == 0
    assert started["endpoint"] == ""
    (tmp_path / "seqline.yaml").write_text("parameters: {endpoint: other}\n")
    assert main(["run", "--data", "pairs.tsv", "--endpoint", "none"]) == 0
    assert started["endpoint"] == ""


def test_a_pipeline_without_an_endpoint_takes_the_endpoint_none(started: dict[str, Any]) -> None:
    assert main(["run", "--pipeline", "tuning", "--data", "pairs.tsv", "--endpoint", "none"]) == 0
    assert "endpoint" not in started


def test_machines_of_vertex_do_not_stop_a_run_elsewhere(started: dict[str, Any], tmp_path: Path) -> None:
    machines = {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8"}
    vertex = {"project": "a-project", "pipeline_root": "gs://bucket/r", "parameters": {"serving": machines}}
    content = {"images": {"repository": "eu.example.org/p"}, "targets": {"vertex": vertex}}
    (tmp_path / "seqline.yaml").write_text(json.dumps(content))
    assert main(["run", "--data", "pairs.tsv", "--endpoint", "none"]) == 0
    assert started["serving"]["image"].startswith("eu.example.org/p/serve:")


def test_problems_name_the_flag_that_was_given(started: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--data", "pairs.tsv", "--endpoint", "Bad/name"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: --endpoint Bad/name: targets.laptop.endpoint: has the wrong form: 'Bad/name'; ")
    assert message.count("\n") == 1
    assert main(["run", "--data", "pairs.tsv", "--port", "99999"]) == 1
    assert "error: --port 99999: targets.laptop.port: must be" in capsys.readouterr().err


def test_a_compiled_file_s_own_paths_are_those_of_the_current_folder(
    started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laptop, "can_listen", lambda *words: True)
    paths = {"data": "pairs.tsv,gs://b/more.tsv", "tokenizer": "old", "endpoint": "live", "checkpoints": "state"}
    settings = [word for name, value in paths.items() for word in ("--set", f"{name}={value}")]
    assert main(["compile", "-o", "spec.yaml", *settings, "--set", "valid_data=/valid.tsv"]) == 0
    assert main(["run", "--from-template", "spec.yaml", "--set", "checkpoints=other"]) == 0
    here = {name: f"{tmp_path}/{value}" for name, value in paths.items()}
    assert started | {**here, "valid_data": "/valid.tsv", "checkpoints": f"{tmp_path}/other"} == started


def test_an_endpoint_that_is_named_replaces_that_of_a_compiled_file(
    started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laptop, "can_listen", lambda *words: True)
    assert main(["compile", "-o", "spec.yaml", "--set", "data=pairs.tsv", "--set", "endpoint=live"]) == 0
    assert main(["run", "--from-template", "spec.yaml", "--endpoint", "other"]) == 0
    assert started["endpoint"] == f"{tmp_path}/.seqline/endpoints/other"
    assert main(["run", "--from-template", "spec.yaml"]) == 0
    assert started["endpoint"] == f"{tmp_path}/live"


def test_a_section_that_no_stage_of_the_pipeline_reads_is_no_typo(
    started: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--pipeline", "release", "--set", "training.epochs=3"]) == 1
    assert "this pipeline has no stage with the options of training; available: " in capsys.readouterr().err


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_commands_that_write_a_file_print_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(capsys, "init") == {"written": ["seqline.schema.json", "seqline.yaml"]}
    assert ask(capsys, "sample", "few.tsv", "--pairs", "10") == {"written": ["few.tsv"]}
    made = ask(capsys, "compile", "--output", "spec.yaml", "--set", "preset=small")
    assert {name: made[name] for name in ("spec", "pipeline", "target")} == {
        "spec": "spec.yaml", "pipeline": "training", "target": "laptop",
    }  # fmt: skip
    assert len(made["digest"]) == 64
    assert ask(capsys, "runs", "list") == []
    assert "_SEQLINE_COMPLETE" in ask(capsys, "completion", "bash")["script"]


def test_every_wrong_parameter_of_a_compilation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = ("--set", "preset=smal", "--set", "epoch=3", "--set", "dropout=5")
    assert main(["compile", "--output", "spec.yaml", *wrong]) == 1
    message = capsys.readouterr().err
    for part in (
        "preset=smal: training.preset must be",
        "epoch=3: there is no parameter",
        "dropout=5: training.dropout",
    ):
        assert f"--set {part}" in message
    assert not Path("spec.yaml").exists()


def test_what_a_run_costs_is_whole_in_a_pipe(tmp_path: Path) -> None:
    words = ["run", "--estimate", "--set", "data=pairs.tsv"]
    done = subprocess.run(
        [sys.executable, "-m", "seqline.cli", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["STAGE", "MACHINE", "HOURS", "HOURS", "FROM"]
    assert any(line.split()[0] == "tokenize" for line in lines)
    assert "…" not in done.stdout


def test_the_demo_is_a_run_with_options_that_its_stages_accept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {}
    monkeypatch.setattr(demo, "run", lambda **more: given.update(more))
    assert main(["demo", "--set", "training.epochs=2", "--port", "8600"]) == 0
    assert Path(given["data"]).read_text(encoding="utf-8").count("\n") > 10_000
    assert (given["endpoint"], given["port"], given["target"]) == ("demo", 8600, "laptop")
    arguments = load((), [f"data={given['data']}", *given["set_"]]).arguments(parameters_of("training"), "laptop")
    assert (arguments["training"]["preset"], arguments["training"]["epochs"]) == ("demo", 2)
    assert arguments["corpus"]["vocabulary_size"] == 2000


def test_an_unreachable_server_is_named_after_two_attempts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seqline.vertex_api.retries.time.sleep", lambda seconds: None)
    with socket.socket() as bound:  # not listening: refuses
        bound.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{bound.getsockname()[1]}"
        Path("seqline.yaml").write_text(f"targets: {{kubeflow: {{host: '{host}'}}}}\n", encoding="utf-8")
        assert main(["runs", "list", "--target", "kubeflow"]) == ExitCode.UNREACHABLE == 4
    assert capsys.readouterr().err.endswith(f"{host} does not respond: Connection refused\n")
    assert [one.levelname for one in caplog.records if "trying again" in one.message] == ["WARNING"]
