"""`seqline check` and `seqline init`."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from seqline.cli import main
from seqline.cli.run import _compiled
from seqline.compiling.compiler import parameters_of
from seqline.configuration import load, schema
from seqline.configuration.model import Configuration
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS
from seqline.targets.laptop import Laptop, absolute
from tests.servers import free_port

STARTER = Path(schema.__file__).with_name("starter.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def switched_on() -> str:
    """The first file with every setting that is switched off switched on."""
    return re.sub(r"(?m)^#(?! \S)(?=.)", "", STARTER.read_text(encoding="utf-8"))


def problems(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["check", "--offline", "--json", *arguments])
    return list(json.loads(capsys.readouterr().out))


def test_the_file_that_init_writes_has_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert main(["check", "--offline"]) == 0
    assert capsys.readouterr().out.endswith("seqline.yaml: no problems\n")


def test_the_variable_of_the_configuration_names_several_files_with_spaces_between_them(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "project.yaml").write_text("pipeline: batch\n")
    (here / "more.yaml").write_text("resources:\n  infr: {cpu: 4}\n")
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("SEQLINE_CONFIG", "project.yaml ~/more.yaml")
    (problem,) = problems(capsys)
    assert problem["message"] == "there is no such stage; did you mean 'infer'?"
    assert problem["where"] == f"{here}/more.yaml, line 2"


def test_missing_data_is_a_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A port that nothing on this machine listens on: the default one may be an endpoint's.
    port = f"targets: {{laptop: {{port: {free_port()}}}}}\n"
    (here / "seqline.yaml").write_text(f"parameters:\n  data: pears.tsv\n{port}")
    assert main(["check"]) == 0
    assert "seqline.yaml, line 2" in (message := capsys.readouterr().err)
    assert message.startswith("warning: ")
    assert "pears.tsv" in message
    (here / "pears.tsv").write_text("a\tb\n")
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_code_of_no_language_is_refused_with_the_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("parameters:\n  source_language: zho_Hans\n  target_language: jp\n")
    (problem,) = problems(capsys)
    assert problem["message"].endswith(
        "'jp' is not a language code; did you mean 'ja', the language of the territory JP?"
    )
    assert problem["where"] == "seqline.yaml, line 3"


def test_init_replaces_no_file_without_force(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("target: laptop\n")
    assert main(["init"]) == 1
    assert "--force replaces it" in capsys.readouterr().err
    assert (here / "seqline.yaml").read_text() == "target: laptop\n"
    assert not (here / "seqline.schema.json").exists()
    assert main(["init", "--schema-only"]) == 0
    assert json.loads((here / "seqline.schema.json").read_text())["title"] == "seqline.yaml"


def test_every_setting_that_is_switched_off_in_the_first_file_is_valid(here: Path) -> None:
    (here / "all.yaml").write_text(switched_on())
    loaded = load([here / "all.yaml"])
    configuration = loaded.configuration
    assert configuration.targets.vertex is not None
    assert configuration.targets.vertex.training is not None
    assert configuration.targets.kubeflow is not None
    assert set(configuration.schedules) == {"nightly"}
    for target in ("laptop", "kubeflow"):
        assert loaded.arguments(parameters_of("training"), target)["training"]["learning_rate"] == 0.003
    assert loaded.arguments(parameters_of("training"), "vertex", "nightly")["training"]["epochs"] == 5


def test_the_schema_has_the_keys_the_parameters_and_the_options() -> None:
    made = schema.schema()
    assert set(made["properties"]) == set(Configuration.model_fields)
    parameters = made["$defs"]["Parameters"]["properties"]
    assert set(parameters) == {*RunParameters.model_fields, *SECTIONS}
    epochs = parameters["training"]["properties"]["epochs"]
    assert (epochs["type"], epochs["default"], epochs["minimum"]) == ("integer", 20, 1)
    assert all(one["description"] for one in [*parameters.values(), *parameters["training"]["properties"].values()])


def test_the_schema_accepts_the_first_file_with_every_setting_on_and_off() -> None:
    jsonschema_rs.meta.validate(schema.schema())
    validator = jsonschema_rs.Draft202012Validator(schema.schema())
    for text in (STARTER.read_text(encoding="utf-8"), switched_on()):
        # For PyYAML, 3e-3 is text; for editors and for Seqline it is a number.
        content = yaml.safe_load(text.replace("3e-3", "3.0e-3"))
        assert [error.message for error in validator.iter_errors(content)] == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"epochs": 3},
        {"training": {"epoch": 3}},
        {"training": {"dropout": 5}},
        {"training": {"preset": "huge"}},
        {"gate": [{"metric": "bleu", "minimun": 20}]},
        {"task": "translate"},
    ],
)
def test_the_schema_rejects_wrong_parameters(parameters: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema.schema())
    assert list(validator.iter_errors({"parameters": parameters}))
    nested = {"schedules": {"nightly": {"cron": "0 3 * * *", "parameters": parameters}}}
    assert list(validator.iter_errors(nested))


def test_every_problem_is_reported_at_once_with_its_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text(
        "parameters:\n  training:\n    epochs: 0\n    dropout: 5\nresources:\n  trian: {cpu: 4}\n"
        "images:\n  digests:\n    tokenise: sha256:" + "0" * 64 + "\n"
    )
    found = {one["field"]: (one["where"], one["message"]) for one in problems(capsys)}
    assert found == {
        "parameters.training.epochs": ("seqline.yaml, line 3", "must be at least 1, not 0"),
        "parameters.training.dropout": ("seqline.yaml, line 4", "must be at least 0 and below 1, not 5"),
        "resources.trian": ("seqline.yaml, line 6", "there is no such stage; did you mean 'train'?"),
        "images.digests.tokenise": ("seqline.yaml, line 9", "there is no such image; did you mean 'tokenize'?"),
    }


def test_stages_and_images_of_other_pipelines_are_no_problems(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = re.findall(r"^IMAGES := (.+)", (Path(__file__).parents[3] / "Makefile").read_text(), re.MULTILINE)[
        0
    ].split()
    content = {
        "pipeline": "batch",
        "images": {"digests": {name: f"sha256:{number:064}" for number, name in enumerate(built)}},
        "resources": {"infer": {"cpu": 4}, "train": {"cpu": 8}, "tune": {"cpu": 8}},
    }
    (here / "seqline.yaml").write_text(json.dumps(content))
    assert problems(capsys) == []


def test_a_stage_of_a_trigger_s_own_pipeline_is_no_problem(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own.py").write_text(
        "from kfp import dsl\n\n@dsl.container_component\ndef shout():\n"
        "    return dsl.ContainerSpec(image='busybox:1', command=['true'])\n\n"
        "@dsl.pipeline\ndef own():\n    shout()\n"
    )
    write_trigger(here, {"repository": "templates"}, pipeline="own.py")
    whole = json.loads((here / "seqline.yaml").read_text()) | {"resources": {"shout": {"cpu": 4}}}
    (here / "seqline.yaml").write_text(json.dumps(whole))
    assert [one for one in problems(capsys, "--target", "laptop") if one["field"] == "resources.shout"] == []


@pytest.mark.parametrize(
    ("settings", "unpinned"),
    [
        ({}, []),
        ({"resources": {"train": {"accelerator_type": "NVIDIA_L4"}}}, ["train-gpu"]),
        ({"targets": {"training": {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8"}}}, ["train-gpu"]),
        ({"serving": {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8"}}, ["serve-gpu"]),
        ({"schedule": {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8"}}, ["serve-gpu"]),
    ],
)
def test_an_image_that_is_used_without_a_digest_is_a_warning_if_others_have_one(
    here: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], unpinned: list[str]
) -> None:
    digests = {name: f"sha256:{number:064}" for number, name in enumerate(("tokenize", "train", "evaluate", "serve"))}
    vertex = {"project": "a-project", "pipeline_root": "gs://bucket/root", **settings.get("targets", {})}
    nightly = {"serving": settings.get("schedule", {})}
    content = {
        "target": "vertex",
        "images": {"repository": "eu.example.org/p", "tag": "7", "digests": digests},
        "targets": {"vertex": vertex},
        "resources": settings.get("resources", {}),
        "parameters": {"serving": settings.get("serving", {})},
        "schedules": {"nightly": {"cron": "0 3 * * *", "target": "vertex", "parameters": nightly}},
    }
    (here / "seqline.yaml").write_text(json.dumps(content))
    found = [one["message"] for one in problems(capsys, "--target", "vertex") if one["field"] == "images.digests"]
    assert found == [
        f"{name} has no digest, though other images have one; the cache does not notice if a tag moves"
        for name in unpinned
    ]


def test_an_unknown_parameter_is_reported_with_the_nearest_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("parameters: {epoch: 3}\n")
    ((one),) = problems(capsys)
    assert one["message"] == "there is no parameter 'epoch'; did you mean 'training.epochs'?"
    assert main(["check", "--offline"]) == 1


def test_an_unknown_pipeline_is_reported(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text("pipeline: trainin\n")
    ((one),) = problems(capsys)
    assert (one["where"], one["field"]) == ("seqline.yaml, line 1", "pipeline")


def test_a_schedule_on_a_target_that_is_not_configured_is_reported(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "seqline.yaml").write_text("schedules:\n  nightly: {cron: 0 3 * * *, target: kubeflow}\n")
    ((one),) = problems(capsys)
    assert "targets.kubeflow, where it runs, is not configured" in one["message"]
    assert one["where"] == "seqline.yaml, line 2"


def test_doctor_reports_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("targets.laptop.endpoint=My_Model.v2", "targets.laptop.endpoint"),
        ("targets.laptop.endpoint=2024-model", "targets.laptop.endpoint"),
        ("targets.laptop.endpoint=model.", "targets.laptop.endpoint"),
        ("endpoint=/models/My_Model", ""),
        ("endpoint=gs://bucket/model", ""),
        ("endpoint=projects/p/locations/l/endpoints/My_Model", ""),
        ("endpoint=projects/p/endpoints/model", ""),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_an_endpoint_that_deploy_would_refuse_is_refused_at_once(
    command: str, setting: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--set", setting, "--set", "data=pears.tsv"]) == 1
    error = capsys.readouterr().err
    assert f"--set {setting}: {field}" in error
    assert "lower-case letter" in error or "projects/P/locations/L/endpoints/NAME" in error
    assert not Path(".seqline/runs").exists()


def test_a_tilde_in_a_file_is_the_home_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here / "me"))
    laptop = f"targets: {{laptop: {{home: ~/runs, port: {free_port()}}}}}\n"
    (here / "seqline.yaml").write_text(laptop + "parameters: {data: ~/pairs.tsv}\n")
    configuration = load().configuration
    assert Laptop(configuration).home.path == here / "me" / "runs"
    assert _compiled(load(), "laptop", "training") == here / "me" / "runs" / "specs" / "training.yaml"
    assert absolute("~/a.tsv, gs://b/~/c,~nobody-of-this-name/d") == (
        f"{here}/me/a.tsv,gs://b/~/c,{here}/~nobody-of-this-name/d"
    )


@pytest.mark.parametrize(
    "target",
    ["kubeflow: {host: 'http://127.0.0.1:9'}", "vertex: {project: a-project, pipeline_root: 'gs://bucket/root'}"],
)
@pytest.mark.parametrize("endpoint", ["demo", "/gcs/bucket/endpoints/demo", "./demo"])
def test_a_local_endpoint_of_a_cluster_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], target: str, endpoint: str
) -> None:
    (here / "seqline.yaml").write_text(
        f"targets:\n  {target}\nparameters:\n  endpoint: {endpoint}\nimages: {{repository: r.org/s}}\n"
    )
    name = target.partition(":")[0]
    found = {one["where"]: one for one in problems(capsys, "--target", name, "--offline")}
    assert f"{endpoint} is a folder in deploy's container" in found["seqline.yaml, line 4"]["message"]
    assert not found["seqline.yaml, line 4"]["warning"]
    assert main(["run", "--target", name, "--set", "data=gs://bucket/pairs.tsv"]) == 1
    assert "is a folder in deploy's container, and its server ends with it; write projects/" in capsys.readouterr().err


def test_an_option_that_kserve_does_not_have_is_found_before_a_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "seqline.yaml").write_text(
        "targets:\n  kubeflow: {host: 'http://127.0.0.1:9'}\nparameters:\n  endpoint: kserve://mt/en-de\n"
        "  serving:\n    machine_type: n1-highcpu-8\nimages: {repository: r.org/s}\n"
    )
    (found,) = problems(capsys, "--target", "kubeflow", "--offline")
    assert (found["field"], found["where"]) == ("parameters.serving.machine_type", "seqline.yaml, line 6")
    assert found["message"] == "has no effect on KServe; set cpu and memory, and omit it"


def test_a_run_on_a_laptop_refuses_an_endpoint_that_cannot_read_its_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--data", "pairs.tsv", "--set", "endpoint=kserve://mt/en-de"]) == 1
    assert "kserve://mt/en-de: a run on a laptop writes its model to a folder here" in capsys.readouterr().err


def write_trigger(tmp_path: Path, vertex: dict[str, Any] | None, **trigger: Any) -> Path:
    targets = (
        {} if vertex is None else {"vertex": {"project": "my-project", "pipeline_root": "gs://bucket/r", **vertex}}
    )
    content = {"targets": targets, "triggers": {"new": {"objects": "gs://bucket/x/*.tsv", **trigger}}}
    file = tmp_path / "seqline.yaml"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize(
    ("vertex", "trigger", "message"),
    [
        (None, {}, "triggers: targets.vertex, where their runs are, is not configured"),
        ({}, {}, "triggers.new: a trigger runs an uploaded version; set targets.vertex.repository"),
        (
            {"repository": "templates"},
            {"pipeline": "traning"},
            "triggers.new.pipeline: no pipeline is called 'traning'",
        ),
        (
            {"repository": "templates"},
            {"parameters": {"training": {"epochs": 0}}},
            "triggers.new.parameters.training.epochs: must be at least 1, not 0",
        ),
        (
            {"repository": "templates"},
            {"parameters": {"dta": "x"}},
            "triggers.new.parameters.dta: there is no parameter",
        ),
    ],
)
def test_a_trigger_that_cannot_work_is_found(
    vertex: Any, trigger: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_trigger(tmp_path, vertex, **trigger)
    assert main(["check", "--offline", "--config", str(file)]) == 1
    assert message in capsys.readouterr().err


def test_check_lists_the_problems_of_every_part_of_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text(
        "parameters:\n  training: {epochs: three}\n  gate: {metric: bleu}\ntarget: 3\n"
        "resources:\n  train: {accelerator: NVIDIA_L4, accelerators: 2}\n  trane: {cpu: 2}\n"
        "targets: {laptop: {port: eighty}, spol: {a: 1}}\n"
        "schedules: {nightly: {target: vertex, crom: 0 3 * * 1}}\n"
    )
    found = {one["field"]: one["message"] for one in problems(capsys)}
    assert set(found) == {
        "parameters.training.epochs",
        "parameters.gate",
        "target",
        "resources.train",
        "resources.trane",
        "targets.laptop.port",
        "targets.spol",
        "schedules.nightly.crom",
        "schedules.nightly.cron",
    }
    renamed = "accelerator is now called accelerator_type; accelerators is now called accelerator_count"
    assert found["resources.train"] == renamed
    assert "did you mean 'train'?" in found["resources.trane"]


def test_what_refers_to_a_wrong_target_is_not_reported_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "seqline.yaml").write_text(
        "targets: {vertex: none}\nschedules: {nightly: {target: vertex, cron: 0 3 * * 1}}\n"
    )
    assert [one["field"] for one in problems(capsys)] == ["targets.vertex"]


def test_a_wrong_name_or_item_says_in_words_what_it_must_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vertex = "{project: my, location: nowhere, pipeline_root: gs://bucket/root, labels: {Team: A b}, notify: [me]}"
    (here / "seqline.yaml").write_text(
        f"targets: {{vertex: {vertex}}}\nschedules: {{UP: {{cron: 0 3 * * *}}}}\n"
        "images: {digests: {train: sha256:1}}\n"
    )
    found = problems(capsys)
    assert len(found) == 7
    assert not any("match" in one["message"] for one in found)
    messages = {one["field"]: one["message"] for one in found}
    assert messages["targets.vertex.project"].startswith("has the wrong form: 'my'; expected: project ID, such as my-")
