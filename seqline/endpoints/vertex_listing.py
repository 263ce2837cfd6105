"""The endpoints of a project that Seqline deploys to."""

from typing import Any

from seqline.endpoints.names import model_id
from seqline.endpoints.vertex_errors import explained
from seqline.vertex_api.clients import connect


def list_endpoints(parent: str, api_endpoint: str = "") -> list[str]:
    """Lists the endpoints that Seqline deploys to.

    Args:
        parent: projects/P/locations/L.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        Their names.

    Raises:
        UserError: If Vertex does not respond.
    """
    from google.cloud import aiplatform_v1

    with explained(f"list the endpoints of {parent}"):
        client = connect(aiplatform_v1.EndpointServiceClient, parent.rpartition("/")[2], api_endpoint)
        found = list(client.list_endpoints(parent=parent))
    return sorted(
        endpoint.name
        for endpoint in found
        if all(_model_of(deployed) in _models_of(endpoint) for deployed in endpoint.deployed_models)
    )


def _model_of(deployed: Any) -> str:
    """The id of a deployed model, without its version."""
    return str(deployed.model).rpartition("/")[2].partition("@")[0]


def _models_of(endpoint: Any) -> set[str]:
    """The ids that this module gives the model of an endpoint, which is named by its id or its display name."""
    return {model_id(endpoint.name.rpartition("/")[2]), model_id(endpoint.display_name)}
