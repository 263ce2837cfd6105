"""`python -m seqline.serving`: the model server.

On a laptop it serves an endpoint's folder and follows its endpoint.json. In the serving image, Vertex says by
`AIP_STORAGE_URI`, `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE` what to serve, and where.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from seqline.endpoints.local_endpoint import Endpoint
from seqline.errors import UserError
from seqline.serving.limits import Limits
from seqline.serving.logs import log_to_stderr
from seqline.serving.supervisor import keep


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Runs the server until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        arguments: The command line.
        environment: Where the `AIP_*` variables are.

    Returns:
        The exit code: 0, or 1 after a message.
    """
    parser = argparse.ArgumentParser(prog="python -m seqline.serving", description="The model server.")
    parser.add_argument("--endpoint", type=Path, help="folder of a local endpoint; else AIP_STORAGE_URI says what")
    parser.add_argument("--model", help="an exported model to serve as it is: a folder or gs://")
    parser.add_argument("--host", help="address to listen on; by default the endpoint's, or all in a container")
    parser.add_argument("--port", type=int, help="port to listen on; by default the endpoint's, or AIP_HTTP_PORT")
    parser.add_argument("--grpc-port", type=int, help="port of the gRPC service; by default the endpoint's, or none")
    parser.add_argument("--keep", action="store_true", help="start the server again when a signal has ended it")
    parser.add_argument("--log-texts", action="store_true", help="write the texts of requests to the log")
    for limit in dataclasses.fields(Limits):
        flag = "--max-" + limit.name.replace("_", "-")
        parser.add_argument(flag, type=type(limit.default), default=limit.default, help="default %(default)s")
    given = parser.parse_args(arguments)
    log_to_stderr()
    code = keep() if given.keep else None
    if code is not None:
        return code
    try:
        return _serve(given, environment)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from seqline.serving.server import Address, serve
    from seqline.serving.sources import EndpointSource, Source, StorageSource

    limits = Limits(**{limit.name: getattr(given, f"max_{limit.name}") for limit in dataclasses.fields(Limits)})
    source: Source
    if given.endpoint:
        endpoint = Endpoint(given.endpoint.resolve())
        settings = endpoint.read()
        if settings is None:
            raise UserError(f"there is no endpoint at {given.endpoint}; `seqline run` makes one")
        source = EndpointSource(endpoint)
        name, host, port, grpc_port = settings.name, settings.host, settings.port, settings.grpc_port
    else:
        place = given.model or environment.get("AIP_STORAGE_URI")
        if not place:
            raise UserError("nothing to serve: give --endpoint or --model, or set AIP_STORAGE_URI")
        source = StorageSource(place)
        name, host = "model", "0.0.0.0"  # noqa: S104 (a container's port is reached from outside)
        port, grpc_port = int(environment.get("AIP_HTTP_PORT", "8080")), 0
    address = Address(
        given.host or host,
        given.port or port,
        grpc_port if given.grpc_port is None else given.grpc_port,
        environment.get("AIP_HEALTH_ROUTE", "/healthz"),
        environment.get("AIP_PREDICT_ROUTE"),
    )
    serve(name, source, address, limits, given.log_texts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
