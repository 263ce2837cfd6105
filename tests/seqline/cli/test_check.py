"""`seqline check` and `seqline init`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seqline.cli import main
from seqline.configuration import load, schema
from seqline.configuration.model import Configuration

STARTER = Path(schema.__file__).with_name("starter.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["check", "--offline", "--json", *arguments])
    return list(json.loads(capsys.readouterr().out))


def test_the_file_that_init_writes_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert main(["check", "--offline"]) == 0
    assert capsys.readouterr().out.endswith("seqline.yaml: fine\n")


def test_data_that_is_not_there_is_a_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("parameters:\n  data: pears.tsv\n")
    assert main(["check"]) == 0
    assert "seqline.yaml, line 2" in (said := capsys.readouterr().err)
    assert said.startswith("warning: ")
    assert "pears.tsv" in said
    (here / "pears.tsv").write_text("a\tb\n")
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""


def test_init_replaces_nothing_unasked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("target: laptop\n")
    assert main(["init"]) == 1
    assert "--force replaces it" in capsys.readouterr().err
    assert (here / "seqline.yaml").read_text() == "target: laptop\n"
    assert not (here / "seqline.schema.json").exists()
    assert main(["init", "--schema-only"]) == 0
    assert json.loads((here / "seqline.schema.json").read_text())["title"] == "seqline.yaml"


def test_every_setting_that_the_first_file_has_switched_off_is_one(here: Path) -> None:
    text = re.sub(r"(?m)^#(?! \S)(?=.)", "", STARTER.read_text(encoding="utf-8"))
    (here / "all.yaml").write_text(text)
    configuration = load([here / "all.yaml"]).configuration
    assert configuration.targets.vertex is not None
    assert configuration.targets.vertex.training is not None
    assert configuration.targets.kubeflow is not None
    assert set(configuration.schedules) == {"nightly"}


def test_the_schema_knows_the_keys_and_the_parameters() -> None:
    made = schema.schema()
    assert set(made["properties"]) == set(Configuration.model_fields)
    epochs = made["$defs"]["Parameters"]["properties"]["epochs"]
    assert (epochs["type"], epochs["default"]) == ("integer", 20)
    assert epochs["description"]


def test_every_problem_is_told_at_once_with_its_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text(
        "parameters:\n  epochs: 0\n  dropout: 5\nresources:\n  trian: {cpu: 4}\n"
        "images:\n  digests:\n    tokenise: sha256:" + "0" * 64 + "\n"
    )
    found = {one["field"]: (one["where"], one["message"]) for one in problems(capsys)}
    assert found == {
        "parameters.epochs": ("seqline.yaml, line 2", "epochs must be at least 1, not 0"),
        "parameters.dropout": ("seqline.yaml, line 3", "dropout must be at least 0 and below 1, not 5.0"),
        "resources.trian": ("seqline.yaml, line 5", "there is no such stage; did you mean 'train'?"),
        "images.digests.tokenise": ("seqline.yaml, line 8", "no stage has such an image; did you mean 'tokenize'?"),
    }


def test_a_parameter_that_the_pipeline_does_not_have_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("parameters: {epoch: 3}\n")
    ((one),) = problems(capsys)
    assert one["message"] == "pipeline seqline-training has no parameter 'epoch'; did you mean 'epochs'?"
    assert main(["check", "--offline"]) == 1


def test_a_pipeline_that_there_is_not_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("pipeline: trainin\n")
    ((one),) = problems(capsys)
    assert (one["where"], one["field"]) == ("seqline.yaml, line 1", "pipeline")


def test_a_schedule_on_a_target_that_is_not_there_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("schedules:\n  nightly: {cron: 0 3 * * *, target: kubeflow}\n")
    ((one),) = problems(capsys)
    assert "there is no targets.kubeflow" in one["message"]
    assert one["where"] == "seqline.yaml, line 2"


def test_doctor_tells_of_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["doctor", "--json", "--set", f"targets.laptop.port={port}"]) == 1
    findings = {one["subject"]: one for one in json.loads(capsys.readouterr().out)}
    assert findings["laptop"]["state"] == "error"
    assert "in use by another program" in findings["laptop"]["advice"]
    assert findings["python"]["state"] == "ok"
