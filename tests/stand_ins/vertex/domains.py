"""Addresses of endpoints: each kind answers under its own domain only, and has its own limits.

On this machine the stand-in has one port and three names, all of loopback: the shared domain is 127.0.0.1, the DNS name
of every dedicated endpoint is localhost, and the address that every private endpoint gets in its network is 127.1.
"""

from typing import Any, Literal

from google.cloud.aiplatform_v1 import types

from tests.stand_ins.server import ApiError, Request

Kind = Literal["dedicated", "shared", "private"]

HOSTS: dict[str, Kind] = {"127.0.0.1": "shared", "localhost": "dedicated", "127.1": "private"}
# docs.cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type: "Payload size limit". The shared domain's is
# 1.5 MB to the byte: github.com/ageron/handson-ml2/issues/205.
LIMITS: dict[Kind, int] = {"shared": 1_572_864, "dedicated": 10_000_000, "private": 10_000_000}


def kind_of(endpoint: types.Endpoint) -> Kind:
    """The kind of an endpoint."""
    if endpoint.private_service_connect_config.enable_private_service_connect:
        return "private"
    return "dedicated" if endpoint.dedicated_endpoint_enabled else "shared"


def host_of(request: Request) -> str:
    """The name that a request was sent to, without its port."""
    return request.headers.get("host", "").rpartition(":")[0]


def require_domain(request: Request, endpoint: types.Endpoint, method: str) -> None:
    """Refuses a prediction under another domain than the endpoint's own, or one that is too large for it.

    Raises:
        ApiError: With the service's status.
    """
    domain, kind = HOSTS[host_of(request)], kind_of(endpoint)
    if domain != kind:
        if kind == "dedicated" and domain == "shared":
            # aiplatform_v1/types/endpoint.py, dedicated_endpoint_enabled: "you won't be able to send request to the
            # shared DNS".
            raise ApiError(
                400,
                "This endpoint is a dedicated endpoint and cannot be accessed through the shared Vertex AI domain. "
                f"Please access the endpoint using its dedicated dns name '{endpoint.dedicated_endpoint_dns}'",
                "FAILED_PRECONDITION",
            )
        # docs.cloud.google.com/vertex-ai/docs/predictions/private-service-connect: only a forwarding rule in a network
        # of the allowlist leads to a private endpoint; and no other endpoint has a domain of its own.
        raise ApiError(404, f"Endpoint {endpoint.name} is not found at this address.")
    if method.startswith("Stream") and kind == "shared":
        # aiplatform/models.py, Endpoint.stream_raw_predict: "For custom model, this method is only supported for
        # dedicated endpoint"; choose-endpoint-type lists it for private ones too.
        raise ApiError(400, f"{method} is not supported on the shared domain", "FAILED_PRECONDITION")
    if len(request.body) > LIMITS[kind]:
        message = f"Request payload size exceeds the limit: {LIMITS[kind]} bytes."
        raise ApiError(400 if kind == "shared" else 413, message)


def require_api(request: Request, procedure: str) -> None:
    """Refuses what is not a prediction under an endpoint's own domain: the API is not there.

    Raises:
        ApiError: 404 if it is.
    """
    if HOSTS[host_of(request)] != "shared":
        raise ApiError(404, f"{procedure} is not served at this address")


def attach(endpoint: types.Endpoint, port: int) -> None:
    """Gives a private endpoint its service attachment and addresses, as the first deployment does.

    aiplatform_v1/types/service_networking.py, service_attachment: "only populated if the endpoint is deployed with
    PrivateServiceConnect"; ip_address: "created by the PSC service automation".
    """
    if kind_of(endpoint) != "private":
        return
    config: Any = endpoint.private_service_connect_config
    config.service_attachment = "projects/tenant/regions/us-central1/serviceAttachments/gkedpm-1"
    for automation in config.psc_automation_configs:
        automation.ip_address, automation.forwarding_rule = f"127.1:{port}", "sca-auto-1"
        automation.state = types.PSCAutomationState.PSC_AUTOMATION_STATE_SUCCESSFUL
