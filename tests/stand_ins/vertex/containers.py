"""Containers of deployed models: Vertex reaches the ports of their specification, or they never become healthy."""

from google.cloud.aiplatform_v1 import types

from seqline.serving.__main__ import command_line


def unhealthy(spec: types.ModelContainerSpec) -> str:
    """Why a container of Seqline's serving image fails Vertex's health checks; empty if it passes them.

    Args:
        spec: The specification of the model's container.
    """
    options = command_line().parse_args([*spec.args])
    # types/model.py, ModelContainerSpec.ports and grpc_ports: requests, liveness and health checks are sent to the
    # first port of either list; AIP_HTTP_PORT is the first of `ports`, and no variable has the one of gRPC.
    if options.port and [options.port] != [port.container_port for port in spec.ports[:1]]:
        return "its health route answers nothing"
    if spec.grpc_ports and options.grpc_port != spec.grpc_ports[0].container_port:
        return f"nothing answers health checks on the gRPC port {spec.grpc_ports[0].container_port}"
    return ""
