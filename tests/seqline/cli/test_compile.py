"""`seqline compile` and `seqline upload`: the configuration's values become the spec's defaults."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def defaults(spec: Path) -> dict[str, Any]:
    parameters = yaml.safe_load(spec.read_text())["root"]["inputDefinitions"]["parameters"]
    return {name: entry["defaultValue"] for name, entry in parameters.items()}


def test_wrong_values_are_all_named_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("preset=small", "epoch=3", "dropout=5")
    assert main(["compile", "-o", "spec.yaml", *(word for one in settings for word in ("--set", one))]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: --set epoch=3: there is no parameter 'epoch'; did you mean 'training.epochs'?",
        "--set dropout=5: training.dropout must be at least 0 and below 1, not 5",
    ]
    assert list(folder.iterdir()) == []


def test_a_wrong_value_in_the_file_is_named_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "seqline.yaml").write_text("parameters:\n  gate: [{metric: bleu, minimun: 20}]\n")
    assert main(["compile", "-o", "spec.yaml"]) == 1
    message = capsys.readouterr().err
    assert "seqline.yaml, line 2: parameters.gate[0].minimun: is unknown; did you mean 'minimum'?" in message
    assert not (folder / "spec.yaml").exists()


def test_values_of_the_file_and_of_flags_are_the_defaults_of_the_spec(folder: Path) -> None:
    (folder / "seqline.yaml").write_text(
        "parameters:\n  data: pairs.tsv\n  training: {preset: small, learning_rate: 3e-3, dropout: 0.1}\n"
        "  gate: [{metric: bleu, minimum: 20}]\n"
    )
    assert main(["compile", "-o", "spec.yaml", "--set", "minutes=60"]) == 0
    found = defaults(folder / "spec.yaml")
    assert found["data"] == "pairs.tsv"
    assert found["training"] == {"preset": "small", "learning_rate": 0.003, "minutes": 60}
    assert found["gate"] == [{"metric": "bleu", "minimum": 20}]
    assert (found["corpus"], found["task"]) == ({}, "translation")


def test_written_out_defaults_compile_to_the_same_bytes(folder: Path) -> None:
    assert main(["compile", "-o", "empty.yaml"]) == 0
    settings = ["--set", "training.preset=auto", "--set", "beam_size=4", "--set", "corpus={}"]
    assert main(["compile", "-o", "written.yaml", *settings]) == 0
    assert (folder / "empty.yaml").read_bytes() == (folder / "written.yaml").read_bytes()


def test_the_values_are_for_the_configuration_s_own_pipeline(folder: Path) -> None:
    (folder / "seqline.yaml").write_text("parameters:\n  training: {preset: small}\n")
    assert main(["compile", "--pipeline", "tuning", "-o", "spec.yaml", "--set", "trials=3"]) == 0
    found = defaults(folder / "spec.yaml")
    assert (found["training"], found["tuning"]) == ({}, {"trials": 3})


L4 = {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8"}
VERTEX = {"project": "a-project", "pipeline_root": "gs://bucket/root"}
HOST = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("target", "own", "settings", "image"),
    [
        ("laptop", {"vertex": {**VERTEX, "parameters": {"serving": L4}}}, {}, "serve:7"),
        ("kubeflow", {"vertex": {**VERTEX, "parameters": {"serving": L4}}}, {}, "serve:7"),
        ("vertex", {"vertex": {**VERTEX, "parameters": {"serving": L4}}}, {}, "serve-gpu:7"),
        ("vertex", {}, L4, "serve-gpu:7"),
        (
            "kubeflow",
            {"kubeflow": {"host": HOST, "parameters": {"serving": {"accelerator_type": "nvidia.com/gpu"}}}},
            {},
            "serve-gpu:7",
        ),
    ],
)
def test_the_default_image_of_the_model_server_is_for_the_machines_of_the_target(
    target: str, own: dict[str, Any], settings: dict[str, str], image: str, folder: Path
) -> None:
    targets = {"vertex": VERTEX, "kubeflow": {"host": HOST}, **own}
    images = {"repository": "eu.example.org/p", "tag": 7}
    (folder / "seqline.yaml").write_text(yaml.safe_dump({"images": images, "targets": targets}))
    flags = [word for key, value in settings.items() for word in ("--set", f"serving.{key}={value}")]
    assert main(["compile", "--target", target, "-o", "spec.yaml", *flags]) == 0
    assert defaults(folder / "spec.yaml")["serving"]["image"] == f"eu.example.org/p/{image}"


def test_upload_rejects_wrong_values_before_it_connects(capsys: pytest.CaptureFixture[str]) -> None:
    vertex = (
        'targets.vertex={project: a-project, pipeline_root: "gs://bucket/root", api_endpoint: "http://127.0.0.1:9"}'
    )
    assert main(["upload", "--target", "vertex", "--set", vertex, "--set", "dropout=5"]) == 1
    assert "--set dropout=5: training.dropout must be at least 0 and below 1, not 5" in capsys.readouterr().err


@pytest.mark.parametrize(("pipeline", "file"), [("batch", "batch.yaml"), ("own/dag.py:mine", "mine.yaml")])
def test_without_an_output_the_file_has_the_name_of_the_pipeline(pipeline: str, file: str, folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "dag.py").write_text(
        "from kfp import dsl\n@dsl.component(base_image='x:1')\ndef step(n: int) -> int:\n    return n\n"
        "@dsl.pipeline(name='mine')\ndef mine(n: int = 3):\n    step(n=n)\n"
    )
    assert main(["compile", "--pipeline", pipeline]) == 0
    assert (folder / file).exists()
