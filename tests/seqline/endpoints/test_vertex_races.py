"""Deploying to Vertex while others change the endpoint, responses are lost and operations take long."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import types

from seqline.artifacts.decision import Judged
from seqline.cli import main
from seqline.components.champion import stage
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints import vertex as module
from seqline.endpoints import vertex_deployments
from seqline.endpoints.rollout import Checks, roll_back, roll_out
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_hosting import Hosting, Machine
from seqline.errors import UserError
from tests.components.deploy.test_deploy import decide
from tests.seqline.endpoints.test_vertex import ENDPOINT, PARENT, back_end, go, models
from tests.stand_ins.vertex import VertexStandIn

__all__ = ["models"]

OTHER = "9"  # the id of a version that someone else deploys


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(module, "POLLS", (0,))


def resource(vertex: VertexStandIn) -> types.Endpoint:
    return vertex.endpoints.resources.get(ENDPOINT)


def deployed(vertex: VertexStandIn) -> dict[str, int]:
    endpoint = resource(vertex)
    return {one.id: endpoint.traffic_split.get(one.id, 0) for one in endpoint.deployed_models}


def before_update(vertex: VertexStandIn, change: Callable[[], None]) -> None:
    """Someone else is faster once: between the client's reading and its first update."""
    update, changes = vertex.endpoints.update_endpoint, [change]

    def update_endpoint(request: Any) -> Any:
        if changes:
            changes.pop()()
            vertex.endpoints._touch(resource(vertex))
        return update(request)

    vertex.endpoints.update_endpoint = update_endpoint  # type: ignore[method-assign]


def deploy_other(vertex: VertexStandIn) -> None:
    """Someone else deploys a version without traffic."""
    if OTHER not in deployed(vertex):
        other = types.DeployedModel(resource(vertex).deployed_models[0])
        other.id = other.model_version_id = OTHER
        resource(vertex).deployed_models.append(other)
        vertex.models.deployed.append(f"{other.model}@{OTHER}")
        vertex.endpoints._touch(resource(vertex))


def test_a_harmless_change_of_the_endpoint_is_no_conflict(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    go(vertex, models.one, tmp_path)
    before_update(vertex, lambda: setattr(resource(vertex), "description", "changed in the console"))
    assert go(vertex, models.two, tmp_path) == 2
    assert deployed(vertex) == {"1": 0, "2": 100}


def test_traffic_that_somebody_else_changes_between_reading_and_writing_is_not_overwritten(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    before_update(vertex, lambda: setattr(resource(vertex), "traffic_split", {"1": 100, "2": 0}))
    message = (
        "someone else changed the traffic of .*/endpoints/en-de in the meantime, from 2:100% to 1:100%; the traffic "
        "does not change, because"
    )
    with pytest.raises(UserError, match=message):
        go(vertex, models.three, tmp_path)
    assert deployed(vertex) == {"1": 100, "2": 0}


def test_traffic_that_somebody_else_changes_while_a_version_is_deployed_is_not_overwritten(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    vertex.operations.slow = {"DeployModel": 2}
    get, changes = vertex.operations.get, [{"1": 100, "2": 0}]

    def look(name: str) -> Any:
        if changes and "/endpoints/" in name:
            resource(vertex).traffic_split = changes.pop()
        return get(name)

    vertex.operations.get = look  # type: ignore[method-assign]
    with pytest.raises(UserError, match="someone else changed the traffic"):
        go(vertex, models.three, tmp_path)
    assert deployed(vertex) == {"1": 100, "2": 0}


@pytest.mark.parametrize("fails", [True, False])
def test_only_the_own_candidate_is_undeployed(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, fails: bool
) -> None:
    go(vertex, models.one, tmp_path)

    def serve(model: Any, instances: list[Any], parameters: Any) -> list[Any]:
        deploy_other(vertex)
        return [{"text": "" if fails and model.version_id == "2" else "x", "score": 0.0} for _ in instances]

    vertex.endpoints.serve = serve
    if fails:
        with pytest.raises(UserError, match="version 1 remains live"):
            go(vertex, models.two, tmp_path)
        assert deployed(vertex) == {"1": 100, OTHER: 0}
    else:
        go(vertex, models.two, tmp_path)
        assert deployed(vertex) == {"1": 0, "2": 100, OTHER: 0}


@pytest.mark.parametrize("share", [0, 30])
def test_another_model_that_somebody_else_deploys_meanwhile_stays_and_the_candidate_goes(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, share: int
) -> None:
    go(vertex, models.one, tmp_path)

    def serve(model: Any, instances: list[Any], parameters: Any) -> list[Any]:
        if OTHER not in deployed(vertex):
            other = types.DeployedModel(resource(vertex).deployed_models[0])
            other.id, other.model = OTHER, f"{PARENT}/models/other"
            resource(vertex).deployed_models.append(other)
            if share:
                resource(vertex).traffic_split = {"1": 70, "2": 0, OTHER: share}
            vertex.endpoints._touch(resource(vertex))
        return [{"text": "" if model.version_id == "2" else "x", "score": 0.0} for _ in instances]

    vertex.endpoints.serve = serve
    with pytest.raises(UserError, match=f"gave it {share}% of the traffic" if share else "version 1 remains live"):
        go(vertex, models.two, tmp_path)
    assert deployed(vertex) == ({"1": 70, OTHER: 30} if share else {"1": 100, OTHER: 0})
    with pytest.raises(UserError, match=r"serves .*/models/other, which is not of this pipeline; choose another"):
        go(vertex, models.three, tmp_path)


def test_a_champion_that_changed_since_the_gate_lets_nothing_be_registered(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    decision = decide(tmp_path / "decision", models.three, judged=Judged("1", "one" * 20))
    file = decision / "decision.json"
    file.write_text(file.read_text().replace('"three"', f'"{"three" * 20}"'))
    with pytest.raises(UserError, match=r"compared the model with version 1 .*, but by now version 2 .* is live on"):
        deploy(models.three, decision, tmp_path / "out", ENDPOINT, vertex.url, Options(image="i"))
    assert len(vertex.called("UploadModel")) == 2
    assert deployed(vertex) == {"1": 0, "2": 100}


def test_a_rollback_during_a_deployment_wins(vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    merged: list[str] = []

    def serve(model: Any, instances: list[Any], parameters: Any) -> list[Any]:
        if model.version_id == "3" and not merged:
            held = vertex.models.versions[model.name]
            vertex.models._give(held, held[0], ["champion", "default"])
            resource(vertex).traffic_split = {"1": 100, "2": 0, "3": 0}
            vertex.endpoints._touch(resource(vertex))
            merged.append("done")
        return [{"text": "x", "score": 0.0} for _ in instances]

    vertex.endpoints.serve = serve
    with pytest.raises(UserError):
        go(vertex, models.three, tmp_path)
    assert deployed(vertex) == {"1": 100, "2": 0}
    assert back_end(vertex).state().champion == 1


SLOW = ("UploadModel", "CreateEndpoint", "DeployModel", "UndeployModel")


@pytest.mark.parametrize("kind", ["lost answer", "lost request"])
def test_a_slow_operation_whose_response_is_lost_is_found_and_not_started_again(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, kind: Any
) -> None:
    vertex.operations.slow = dict.fromkeys(SLOW, 2)
    for model in (models.one, models.two, models.three):
        for procedure in SLOW:
            vertex.faults.add(procedure, kind)
        go(vertex, model, tmp_path)
        vertex.faults.waiting.clear()
    assert deployed(vertex) == {"2": 0, "3": 100}
    assert [len(vertex.called(procedure)) for procedure in SLOW] == [3, 1, 3, 1]
    assert len(back_end(vertex).versions()) == 3


def test_an_outage_that_is_longer_than_all_retries_of_a_write_is_waited_for(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    vertex.operations.slow = {"DeployModel": 3}
    vertex.faults.add("DeployModel", "lost answer")
    vertex.faults.add("ListOperations", "503", times=20)
    vertex.faults.add("Operation", "503", times=20)
    assert go(vertex, models.one, tmp_path) == 1
    assert len(vertex.called("DeployModel")) == 1


@pytest.fixture
def registered(vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path) -> VertexStandIn:
    """Version 1 is live, and version 2 is only registered."""
    go(vertex, models.one, tmp_path)
    back = VertexBackEnd(ENDPOINT, Hosting(Machine("image")), vertex.url)
    assert back.register(models.two, "two" * 20, {}) == 2
    return vertex


def impatient(vertex: VertexStandIn) -> VertexBackEnd:
    """A back end that gives an operation up at once."""
    return VertexBackEnd(ENDPOINT, api_endpoint=vertex.url, seconds=0)


def roll_out_two(back: VertexBackEnd) -> None:
    roll_out(back, 2, [10], Checks(["a"], 0))


@pytest.mark.parametrize("lost", [True, False])
def test_a_deployment_that_ends_after_the_stage_gave_up_is_undeployed(registered: VertexStandIn, lost: bool) -> None:
    registered.operations.slow = {"DeployModel": 5}
    if lost:
        registered.faults.add("DeployModel", "lost answer")
    message = "Vertex did not deploy version 2 within 0 s; the previous split is restored, version 1 remains live"
    with pytest.raises(UserError, match=message):
        roll_out_two(impatient(registered))
    assert deployed(registered) == {"1": 100}
    assert registered.called("UndeployModel")[-1].deployed_model_id == "2"
    assert dict(resource(registered).labels) == {}


def test_the_next_deployment_undeploys_one_that_ends_after_the_process_is_gone(
    registered: VertexStandIn, models: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vertex_deployments, "GRACE_SECONDS", 0)
    registered.operations.slow = {"DeployModel": 5}
    with pytest.raises(UserError, match="did not deploy version 2"):
        roll_out_two(impatient(registered))
    assert dict(resource(registered).labels) == {"seqline-abandoned-2": "true"}
    for name in list(registered.operations.items):
        for _ in range(6):
            registered.operations.get(name)
    assert deployed(registered) == {"1": 100, "2": 0}
    registered.operations.slow = {}
    assert go(registered, models.three, tmp_path) == 3
    assert deployed(registered) == {"1": 0, "3": 100}
    assert dict(resource(registered).labels) == {}


def test_the_deployment_of_somebody_else_is_not_cancelled(registered: VertexStandIn) -> None:
    registered.operations.slow = {"DeployModel": 5}
    other = registered.operations.start(resource(registered).name, types.Model(), types.DeployModelOperationMetadata())
    back = VertexBackEnd(ENDPOINT, api_endpoint=registered.url)
    back.begun = {2: other.name.replace("/operations/", "/operations/1")}  # our own has ended
    back.remove({2})
    assert registered.operations.cancelled == []
    assert dict(resource(registered).labels) == {}


def test_a_rolled_back_model_is_refused_until_it_is_allowed(
    vertex: VertexStandIn,
    models: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(stage, "read_files", lambda address, fingerprint: "digest")
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    vertex.faults.add("UpdateModel", "lost answer")
    assert roll_back(back_end(vertex)) == 1
    version = vertex.models.find(f"{PARENT}/models/en-de@2")
    assert version.labels["seqline-rolled-back"]
    assert version.labels["seqline-fingerprint"] == "two" * 20
    message = r"the model twotwotwotwo was rolled back on 20\d\d-\d\d-\d\d and is not deployed again"
    with pytest.raises(UserError, match=message):
        go(vertex, models.two, tmp_path)
    assert "was rolled back on" in stage.champion(models.two, ENDPOINT, vertex.url).rolled_back
    assert stage.champion(models.three, ENDPOINT, vertex.url).rolled_back == ""
    flags = ["--endpoint", ENDPOINT, "--api-endpoint", vertex.url]
    assert main(["endpoint", "allow", "twotwotwotwo", *flags]) == 0
    assert capsys.readouterr().out == "twotwotwotwo can be deployed again; run the pipeline to deploy it\n"
    assert go(vertex, models.two, tmp_path) == 2
    assert main(["endpoint", "allow", "twotwotwotwo", *flags]) == 1
    assert "that was rolled back; available: none" in capsys.readouterr().err


def test_labels_that_somebody_else_adds_meanwhile_stay(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    update, changes = vertex.models.update_model, ["owner"]

    def update_model(request: Any) -> Any:
        if changes:
            held = vertex.models.find(request.model.name)
            held.labels[changes.pop()] = "me"
            held.etag += "1"
        return update(request)

    vertex.models.update_model = update_model  # type: ignore[method-assign]
    roll_back(back_end(vertex))
    assert {"owner", "seqline-rolled-back"} <= set(vertex.models.find(f"{PARENT}/models/en-de@2").labels)


def test_stopping_an_endpoint_whose_traffic_is_split_undeploys_every_version(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    for model in (models.one, models.two):
        go(vertex, model, tmp_path)
    back_end(vertex).split({1: 60, 2: 40})
    assert back_end(vertex).stop()
    assert deployed(vertex) == {}


def test_the_latency_is_that_of_the_prediction_alone(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(vertex, models.one, tmp_path)
    seconds = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    get, requests = vertex.endpoints.get_endpoint, []

    def get_endpoint(request: Any) -> Any:
        seconds[0] += 7
        return get(request)

    def serve(model: Any, instances: list[Any], parameters: Any) -> list[Any]:
        seconds[0] += 0.125 if requests else 30  # the first request also connects and authenticates
        requests.append(instances)
        return [{"text": "x", "score": 0.0} for _ in instances]

    vertex.endpoints.get_endpoint, vertex.endpoints.serve = get_endpoint, serve  # type: ignore[method-assign]
    assert [reply.milliseconds for reply in back_end(vertex).ask(1, ["a", "b"])] == [125.0, 125.0]
