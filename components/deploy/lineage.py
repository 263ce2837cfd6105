"""Lineage of a deployed version in Vertex ML Metadata: artifacts that represent the model and the endpoint.

Vertex shows an artifact as a model or an endpoint by its type, which the Vertex spec sets for deploy's outputs. `uri`
is the resource's address, `resourceName` its name.
"""

from typing import Any, Protocol

from seqline.artifacts.deployment import Deployment
from seqline.endpoints.names import model_id


class Resource(Protocol):
    """An output artifact of KFP."""

    uri: str
    metadata: dict[str, Any]


def trace(deployment: Deployment, model: Resource, endpoint: Resource) -> bool:
    """Makes two artifacts represent the resources on Vertex; elsewhere they stay empty.

    Args:
        deployment: The result of deploy.
        model: The artifact that represents the version in the Model Registry.
        endpoint: The artifact that represents the endpoint.

    Returns:
        Whether they do.
    """
    if not deployment.live or not deployment.endpoint.startswith("projects/"):
        return False
    parent, _, name = deployment.endpoint.rpartition("/endpoints/")
    host = f"https://{parent.rpartition('/')[2]}-aiplatform.googleapis.com/v1"
    for artifact, resource in (
        (model, f"{parent}/models/{model_id(name)}@{deployment.version}"),
        (endpoint, deployment.endpoint),
    ):
        artifact.uri = f"{host}/{resource}"
        artifact.metadata["resourceName"] = resource
    return True
