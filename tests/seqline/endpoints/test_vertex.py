"""Deploying to Vertex: the real client against the stand-in."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.components.champion import stage
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints import vertex as module
from seqline.endpoints.rollout import roll_back
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_registry import LABEL
from seqline.errors import UserError
from tests.components.deploy.test_deploy import decide, live_on
from tests.stand_ins.vertex import PROJECT, VertexStandIn

PARENT = f"projects/{PROJECT}/locations/us-central1"
ENDPOINT = f"{PARENT}/endpoints/en-de"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Three models, which do not run here; a folder replaces the mounted bucket."""
    monkeypatch.setattr(module, "_bucket_address", lambda model: f"gs://bucket/{model.name}")
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        description = {"schema_version": 1, "fingerprint": name * 20, "source_language": "en", "target_language": "de"}
        description |= {"corpus_fingerprint": "c", "created": "2026-01-01T00:00:00+00:00", "tensorflow": "2.21.0"}
        description["decoding"] = {"beam_size": 1, "length_penalty": 0.0, "max_input_length": 9, "max_output_length": 9}
        (tmp_path / name / "model.json").write_text(json.dumps(description))
    return SimpleNamespace(**{name: tmp_path / name for name in ("one", "two", "three")})


def back_end(vertex: VertexStandIn) -> VertexBackEnd:
    return VertexBackEnd(ENDPOINT, api_endpoint=vertex.url)


def go(vertex: VertexStandIn, model: Path, tmp_path: Path, moves: bool = False) -> int | None:
    shutil.rmtree(tmp_path / "d", ignore_errors=True)
    decision = decide(tmp_path / "d", model, judged=live_on(back_end(vertex)))
    text = (tmp_path / "d" / "decision.json").read_text()
    text = text.replace(f'"{model.name}"', f'"{model.name * 20}"').replace(
        '"moves": false', f'"moves": {str(moves).lower()}'
    )
    (tmp_path / "d" / "decision.json").write_text(text)
    options = Options(image="eu-docker.pkg.dev/p/r/serve@sha256:1", machine_type="n1-highcpu-8", max_replicas=3)
    return deploy(model, decision, tmp_path / "out", ENDPOINT, vertex.url, options).version


def test_versions_follow_each_other_in_steps_and_the_last_two_stay(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    assert [go(vertex, model, tmp_path) for model in (models.one, models.two, models.three)] == [1, 2, 3]
    state = back_end(vertex).state()
    assert state.traffic == {2: 0, 3: 100}
    assert state.aliases == {"champion": 3, "previous": 2, "best": 1}
    splits = [dict(request.endpoint.traffic_split) for request in vertex.called("UpdateEndpoint")]
    assert splits[:3] == [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 0, "2": 100}]
    resources = vertex.called("DeployModel")[0].deployed_model.dedicated_resources
    assert (resources.machine_spec.machine_type, resources.max_replica_count) == ("n1-highcpu-8", 3)
    assert [version.model for version in back_end(vertex).versions()] == [
        "gs://bucket/one",
        "gs://bucket/two",
        "gs://bucket/three",
    ]


def test_the_same_model_again_changes_nothing(vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path) -> None:
    assert go(vertex, models.one, tmp_path) == 1
    writes = ("UploadModel", "CreateEndpoint", "DeployModel", "UpdateEndpoint", "UndeployModel", "MergeVersionAliases")
    before = {name: len(vertex.called(name)) for name in writes}
    assert go(vertex, models.one, tmp_path) == 1
    assert {name: len(vertex.called(name)) for name in writes} == before


def test_a_version_that_answers_with_empty_texts_is_rolled_back(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    go(vertex, models.one, tmp_path)
    vertex.endpoints.serve = lambda model, instances, parameters: [
        {"text": "" if model.version_id == "2" else "x", "score": 0.0} for _ in instances
    ]
    with pytest.raises(
        UserError, match=r"version 2 returned empty texts for all .* smoke requests; .* restored, version 1"
    ):
        go(vertex, models.two, tmp_path)
    state = back_end(vertex).state()
    assert (state.traffic, state.aliases) == ({1: 100}, {"champion": 1, "best": 1})


def test_a_container_that_never_becomes_healthy_leaves_the_live_version(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    go(vertex, models.one, tmp_path)
    vertex.endpoints.broken = {f"{vertex.models.find(f'{PARENT}/models/en-de').name}@2"}
    with pytest.raises(
        UserError, match=r"Vertex did not deploy version 2: .*never became ready.*version 1 remains live"
    ):
        go(vertex, models.two, tmp_path)
    assert back_end(vertex).state().traffic == {1: 100}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses whose files are read; no bucket is."""
    read: list[str] = []
    monkeypatch.setattr(stage, "read_files", lambda address, fingerprint: read.append(address) or "digest")
    return read


def test_champion_and_best_version_come_from_the_registry_by_their_aliases(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, files: list[str]
) -> None:
    assert stage.champion(models.one, ENDPOINT, vertex.url).champion.standing == "none"
    go(vertex, models.one, tmp_path)
    found = stage.champion(models.two, ENDPOINT, vertex.url)
    assert (found.champion.address, found.best.standing) == ("gs://bucket/one", "champion")
    assert stage.champion(models.one, ENDPOINT, vertex.url).champion.standing == "same"
    go(vertex, models.two, tmp_path)
    found = stage.champion(models.three, ENDPOINT, vertex.url)
    assert (found.champion.address, found.best.address) == ("gs://bucket/two", "gs://bucket/one")
    assert set(files) == {"gs://bucket/one", "gs://bucket/two"}


def test_a_version_becomes_the_best_if_its_decision_says_so(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model, moves, best in ((models.one, False, 1), (models.two, True, 2), (models.three, False, 2)):
        go(vertex, model, tmp_path, moves)
        assert back_end(vertex).state().aliases["best"] == best


def test_a_version_without_its_label_cannot_be_identified(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, files: list[str]
) -> None:
    go(vertex, models.one, tmp_path)
    del vertex.models.find(f"{PARENT}/models/en-de").labels[LABEL]
    for model in (models.one, models.two):
        found = stage.champion(model, ENDPOINT, vertex.url).champion
        assert found.standing == ""
        assert found.problem == "version 1 cannot be identified: its fingerprint is missing"


def test_rolling_back_and_stopping(vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    endpoint = back_end(vertex)
    assert roll_back(endpoint) == 1
    assert endpoint.state().traffic == {1: 100, 2: 0}
    assert endpoint.predict(["a"])[0]["text"] == "a by version 1"
    vertex.endpoints.serve = lambda model, instances, parameters: [{"text": str(parameters)}]
    assert endpoint.predict(["a"], {"beam_size": 4})[0]["text"] == "{'beam_size': 4.0}"  # protobuf has floats only
    assert endpoint.stop()
    assert not endpoint.stop()
    assert endpoint.state().traffic == {}
    assert len(endpoint.versions()) == 2


def test_a_model_outside_of_cloud_storage_and_a_wrong_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not in Cloud Storage"):
        module._bucket_address(tmp_path)
    assert module._bucket_address(Path("/gcs/bucket/run/model")) == "gs://bucket/run/model"
    with pytest.raises(UserError, match="is not projects/P/locations/L/endpoints/NAME"):
        VertexBackEnd("projects/p/endpoints/1")
