"""Names of endpoints, and of their models in the registry of Vertex."""

import re

from seqline.errors import UserError

# `CreateEndpointRequest.endpoint_id` of google.cloud.aiplatform_v1: a name, or a number, as the console gives.
ENDPOINT = re.compile(
    r"(projects/[^/]+/locations/([a-z0-9-]+))/endpoints/([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]*)"
)


def model_id(endpoint: str) -> str:
    """Returns the id of an endpoint's model in the registry: its name, where that can be one.

    Args:
        endpoint: The endpoint's id. `UploadModelRequest.model_id` must not begin with a digit.
    """
    return f"endpoint-{endpoint}" if endpoint.isdecimal() else endpoint


def check_reachable(endpoint: str) -> None:
    """Checks that an endpoint outlives the container of the stage that deploys to it, on Kubeflow and on Vertex.

    Args:
        endpoint: The pipelines' parameter; empty for none.

    Raises:
        UserError: If it is a local folder: its server would end with the container, after the run had reported it live.
    """
    if endpoint and not endpoint.startswith("projects/"):
        raise UserError(
            f"{endpoint} is a folder in deploy's container, and its server ends with it; write "
            "projects/P/locations/L/endpoints/NAME, or leave endpoint empty"
        )
