"""What a deployed version is in Vertex ML Metadata: artifacts that stand for the model and the endpoint themselves.

Vertex shows an artifact as a model or an endpoint by its type, which the Vertex spec gives deploy's outputs, with the
resource's address as `uri` and its name as `resourceName`.
"""

from typing import Any, Protocol

from seqline.artifacts.deployment import Deployment


class Resource(Protocol):
    """An output artifact of KFP."""

    uri: str
    metadata: dict[str, Any]


def trace(deployment: Deployment, model: Resource, endpoint: Resource) -> None:
    """Makes two artifacts stand for what was deployed on Vertex; elsewhere they stay empty.

    Args:
        deployment: What deploy came to.
        model: Becomes the version in the Model Registry.
        endpoint: Becomes the endpoint.
    """
    if not deployment.live or not deployment.endpoint.startswith("projects/"):
        return
    parent, _, name = deployment.endpoint.rpartition("/endpoints/")
    host = f"https://{parent.rpartition('/')[2]}-aiplatform.googleapis.com/v1"
    for artifact, resource in (
        (model, f"{parent}/models/{name}@{deployment.version}"),
        (endpoint, deployment.endpoint),
    ):
        artifact.uri = f"{host}/{resource}"
        artifact.metadata["resourceName"] = resource
