"""upload, run, runs and schedule on Vertex, as typed by a user."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seqline.cli import main
from tests.stand_ins.registry import RegistryStandIn
from tests.stand_ins.vertex import PROJECT, VertexStandIn

FILE = """
target: vertex
parameters: {{data: "gs://bucket/pairs.tsv"}}
targets:
  vertex:
    project: {project}
    location: us-central1
    pipeline_root: gs://bucket/root
    repository: {registry}
    api_endpoint: {api}
schedules:
  nightly: {{cron: "0 3 * * *", timezone: Europe/Paris, parameters: {{training: {{epochs: {epochs}}}}}}}
"""


@pytest.fixture
def registry() -> Iterator[RegistryStandIn]:
    with RegistryStandIn.running() as running:
        yield running


def write(vertex: VertexStandIn, registry: RegistryStandIn, epochs: int = 3) -> None:
    text = FILE.format(project=PROJECT, registry=registry.url, api=vertex.url, epochs=epochs)
    Path("seqline.yaml").write_text(text)


@pytest.mark.e2e
def test_the_whole_way_from_a_file_to_a_schedule(
    vertex: VertexStandIn,
    registry: RegistryStandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ask(*words: str, code: int = 0) -> Any:
        assert main(list(words)) == code
        text = capsys.readouterr().out
        return json.loads(text) if "--json" in words else text

    monkeypatch.chdir(tmp_path)
    write(vertex, registry)
    template = ask("upload", "--tag", "live", "--json")
    assert template["reference"] == f"{registry.url}/seqline-training/{template['version']}"
    assert ask("upload", "--json")["version"] == template["version"]

    assert "https://console.cloud.google.com" in ask("run", "--no-watch", "--from-template", template["reference"])
    (run,) = ask("runs", "list", "--json")
    assert run["parameters"] == {"data": "gs://bucket/pairs.tsv"}
    assert "train: train begins" in ask("runs", "logs", run["id"])
    assert "cancelled" in ask("runs", "cancel", run["id"])
    # A scheduled run is never followed: its cost is shown here.
    assert re.search(
        r"took [\d.]+ machine hours, about [\d.]+ USD at the prices of", ask("runs", "describe", run["id"])
    )

    assert "+ nightly" in ask("schedule", "plan")
    assert ask("schedule", "list", "--json") == []
    (made,) = ask("schedule", "apply", "--json")
    assert (made["action"], made["schedule"]["template"]) == ("create", "")
    assert made["schedule"]["parameters"] == {"data": "gs://bucket/pairs.tsv", "training": {"epochs": 3}}
    assert ask("schedule", "apply", "--json")[0]["action"] == "unchanged"
    write(vertex, registry, epochs=4)
    assert "parameters.training.epochs: 3 -> 4" in ask("schedule", "plan")
    assert ask("schedule", "apply", "--json")[0]["action"] == "replace"
    assert "nightly: paused" in ask("schedule", "pause", "nightly")
    assert "active" in ask("schedule", "resume", "nightly")
    ask("schedule", "delete", "nightlyy", code=1)
    ask("schedule", "delete", "nightly")
    assert vertex.schedules.resources.items == {}


def test_a_caller_without_permission_gets_exit_code_four(
    vertex: VertexStandIn, registry: RegistryStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(vertex, registry)
    vertex.faults.add("*", "permission denied")
    assert main(["runs", "list"]) == 4


SHOWN = {
    "training": ("snapshot", "evaluate", "evaluate champion", "evaluate best"),
    "tuning": ("snapshot", "hyperparameter-tuning-job"),
}


@pytest.mark.e2e
@pytest.mark.parametrize("pipeline", ["training", "tuning"])
def test_a_run_with_every_placement_is_accepted_and_ends(
    vertex: VertexStandIn,
    registry: RegistryStandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pipeline: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(vertex, registry)
    text = Path("seqline.yaml").read_text().partition("schedules:")[0]
    placed = "    training: {tpu: {version: v5e, topology: 2x4}, spot: true}\n    dataflow: {max_workers: 5}\n"
    Path("seqline.yaml").write_text(f"{text}{placed}    notify: [team@example.org]\n")
    monkeypatch.setattr("seqline.targets.vertex.target.POLL_SECONDS", 0.01)
    assert main(["run", "--pipeline", pipeline, "--set", "data=gs://bucket/pairs.tsv"]) == 0
    shown = capsys.readouterr().out
    assert "https://console.cloud.google.com" in shown
    assert "machine hours, about " in shown
    # As the console names them, once each.
    lines = shown.splitlines()
    assert all(sum(line.startswith(f"{name} ") for line in lines) >= 1 for name in SHOWN[pipeline])
    assert "evaluate-2" not in shown
    (request,) = vertex.called("CreatePipelineJob")
    assert "notify" in dict(request.pipeline_job.pipeline_spec)["root"]["dag"]["tasks"]
