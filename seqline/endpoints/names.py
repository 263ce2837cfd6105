"""Names of endpoints: on Vertex, with their models in its registry, and on KServe."""

import re

from seqline.errors import UserError

# `CreateEndpointRequest.endpoint_id` of google.cloud.aiplatform_v1: a name, or a number, as the console gives.
ENDPOINT = re.compile(
    r"(projects/[^/]+/locations/([a-z0-9-]+))/endpoints/([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]*)"
)

KSERVE = "kserve://"
# The names of objects in Kubernetes: `IsvcNameFmt` of kserve/pkg/apis/serving/v1beta1/inference_service_validation.go.
IN_KSERVE = re.compile(r"kserve://([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)/([a-z](?:[-a-z0-9]*[a-z0-9])?)")
# A DNS label has 63 characters, and KServe makes one of NAME-candidate-predictor-NAMESPACE (`domainTemplate`).
LONGEST = 63 - len("-candidate-predictor-")


def is_remote(endpoint: str) -> bool:
    """Whether an endpoint is a service, on Vertex or KServe, and not a folder.

    Args:
        endpoint: The pipelines' parameter.
    """
    return endpoint.startswith(("projects/", KSERVE))


def parts_of_kserve(endpoint: str) -> tuple[str, str]:
    """Returns the namespace and the name of an endpoint on KServe.

    Args:
        endpoint: kserve://NAMESPACE/NAME.

    Raises:
        UserError: If it is not of that form, or too long.
    """
    named = IN_KSERVE.fullmatch(endpoint)
    if not named:
        raise UserError(
            f"{endpoint!r} is not kserve://NAMESPACE/NAME, both of lower-case letters, digits and hyphens; the name "
            "starts with a letter"
        )
    namespace, name = named.groups()
    if len(namespace) + len(name) > LONGEST:
        raise UserError(
            f"{endpoint}: namespace and name have {len(namespace) + len(name)} characters together, and KServe's host "
            f"names have room for {LONGEST}; choose a shorter name"
        )
    return namespace, name


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
    if endpoint and not is_remote(endpoint):
        raise UserError(
            f"{endpoint} is a folder in deploy's container, and its server ends with it; write "
            "projects/P/locations/L/endpoints/NAME or kserve://NAMESPACE/NAME, or leave endpoint empty"
        )
