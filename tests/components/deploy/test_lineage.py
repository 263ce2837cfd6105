from types import SimpleNamespace

from seqline.artifacts.deployment import Deployment
from seqline.components.deploy.lineage import trace


def artifacts() -> tuple[SimpleNamespace, SimpleNamespace]:
    return SimpleNamespace(uri="", metadata={}), SimpleNamespace(uri="", metadata={})


def test_a_deployment_on_vertex_is_traced_to_model_and_endpoint() -> None:
    model, endpoint = artifacts()
    trace(Deployment("projects/p/locations/us-central1/endpoints/en-de", True, 3), model, endpoint)
    assert model.metadata == {"resourceName": "projects/p/locations/us-central1/models/en-de@3"}
    assert endpoint.metadata == {"resourceName": "projects/p/locations/us-central1/endpoints/en-de"}
    assert endpoint.uri == f"https://us-central1-aiplatform.googleapis.com/v1/{endpoint.metadata['resourceName']}"


def test_a_local_deployment_leaves_them_empty() -> None:
    model, endpoint = artifacts()
    trace(Deployment("/home/endpoints/demo", True, 3), model, endpoint)
    assert (model.metadata, endpoint.metadata) == ({}, {})
