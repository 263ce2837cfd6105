"""Endpoints on Vertex whose id is a number, as one that was made in the console has."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.cloud.aiplatform_v1 import types

from seqline.artifacts.deployment import Deployment
from seqline.cli import main
from seqline.components.champion import stage
from seqline.components.deploy.lineage import trace
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints.opening import check_endpoint
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_listing import list_endpoints
from seqline.errors import UserError
from tests.components.deploy.test_deploy import decide, live_on
from tests.seqline.endpoints.test_vertex import PARENT, models
from tests.stand_ins.vertex import VertexStandIn

__all__ = ["models"]
NUMBER = "1234567890123456789"


@pytest.fixture
def endpoint(vertex: VertexStandIn) -> str:
    """An endpoint as the console makes it: it has a number, and a name for people."""
    made = types.Endpoint(display_name="English to German")
    vertex.endpoints.resources.add(PARENT, made, NUMBER)
    vertex.endpoints._touch(made)
    return f"{PARENT}/endpoints/{NUMBER}"


def go(vertex: VertexStandIn, endpoint: str, model: Path, folder: Path) -> int | None:
    """Deploys a model that the gate has blessed."""
    decision = decide(
        folder / f"decision-{model.name}", model, judged=live_on(VertexBackEnd(endpoint, api_endpoint=vertex.url))
    )
    file = decision / "decision.json"
    file.write_text(file.read_text().replace(f'"{model.name}"', f'"{model.name * 20}"'))
    options = Options(image="eu-docker.pkg.dev/p/r/serve@sha256:1")
    return deploy(model, decision, folder / "out", endpoint, vertex.url, options).version


def test_versions_go_live_on_it_and_are_found_again(
    vertex: VertexStandIn,
    endpoint: str,
    models: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "read_files", lambda address, fingerprint: "digest")
    assert [go(vertex, endpoint, model, tmp_path) for model in (models.one, models.two)] == [1, 2]
    assert not vertex.called("CreateEndpoint")
    assert stage.champion(models.three, endpoint, vertex.url).champion.address == "gs://bucket/two"
    flags = ["--api-endpoint", vertex.url]
    assert main(["predict", "a", "--endpoint", endpoint, *flags]) == 0
    assert "a by version 2" in capsys.readouterr().out
    assert main(["endpoint", "describe", endpoint, "--json", *flags]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["live"], len(shown["versions"])) == (NUMBER, 2, 2)
    assert main(["endpoint", "rollback", endpoint, *flags]) == 0
    assert VertexBackEnd(endpoint, api_endpoint=vertex.url).state().traffic == {1: 100, 2: 0}


def test_it_is_listed_and_an_endpoint_of_somebody_else_is_not(
    vertex: VertexStandIn, endpoint: str, models: SimpleNamespace, tmp_path: Path
) -> None:
    go(vertex, endpoint, models.one, tmp_path)
    held = vertex.endpoints.resources.get(endpoint)
    assert list_endpoints(PARENT, vertex.url) == [held.name]
    # An id that only begins like the model's is another model's.
    held.deployed_models[0].model = f"{PARENT}/models/endpoint-{NUMBER}0@1"
    assert list_endpoints(PARENT, vertex.url) == []


def test_a_number_that_no_endpoint_has_is_not_created(
    vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path
) -> None:
    missing = f"{PARENT}/endpoints/42"
    for ask in (
        lambda: stage.champion(models.one, missing, vertex.url),
        lambda: go(vertex, missing, models.one, tmp_path),
        lambda: VertexBackEnd(missing, api_endpoint=vertex.url).predict(["a"]),
    ):
        with pytest.raises(
            UserError, match=r"there is no endpoint .*/42; a number is the id of an existing one: correct"
        ):
            ask()
    assert not vertex.called("CreateEndpoint")
    assert not vertex.called("UploadModel")


def test_lineage_names_its_model() -> None:
    model, endpoint = (SimpleNamespace(uri="", metadata={}) for _ in range(2))
    trace(Deployment(f"{PARENT}/endpoints/{NUMBER}", True, 3), model, endpoint)
    assert model.metadata == {"resourceName": f"{PARENT}/models/endpoint-{NUMBER}@3"}


@pytest.mark.parametrize("name", ["0123", "2024-model", "model-", "12a", "-a", "A", "a" * 64])
def test_a_name_that_no_endpoint_can_have_is_refused(name: str) -> None:
    with pytest.raises(
        UserError, match="is not projects/P/locations/L/endpoints/NAME, with a NAME that is a lower-case"
    ):
        check_endpoint(f"{PARENT}/endpoints/{name}")


@pytest.mark.parametrize("name", ["en-de", "a", "a1", "7", NUMBER, "a" * 63])
def test_a_name_that_an_endpoint_can_have_passes(name: str) -> None:
    check_endpoint(f"{PARENT}/endpoints/{name}")
