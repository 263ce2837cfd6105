"""`python -m seqline.serving`: the model server.

On a laptop it serves an endpoint's folder and follows its endpoint.json. In the serving image, Vertex sets the model
and the routes with `AIP_STORAGE_URI`, `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE`.
"""

import argparse
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping

from seqline.endpoints.local_endpoint import NAME, Endpoint
from seqline.endpoints.sampling import Sampling
from seqline.errors import UserError
from seqline.paths import expanded, local
from seqline.serving.limits import Limits
from seqline.serving.logs import log_to_stderr
from seqline.serving.supervisor import supervise
from seqline.serving.worker_processes import one_early


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Runs the server until SIGTERM or SIGINT; requests in flight are completed first.

    Args:
        arguments: The command line.
        environment: The environment, with the `AIP_*` variables.

    Returns:
        The exit code: 0, or 1 after a message.
    """
    options = command_line().parse_args(arguments)
    log_to_stderr(Endpoint(options.endpoint.resolve()).log if options.endpoint else None)
    code = supervise() if options.keep else None
    if code is not None:
        return code
    try:
        return _serve(options, environment)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of the server's command line."""
    parser = argparse.ArgumentParser(prog="python -m seqline.serving", description="The model server.")
    parser.add_argument("--endpoint", type=expanded, help="folder of a local endpoint; default: serve AIP_STORAGE_URI")
    parser.add_argument(
        "--model", type=local, help="exported model to serve without an endpoint: a folder or a gs:// URL"
    )
    parser.add_argument("--name", type=_name, help="the model's name in addresses, without --endpoint; default: model")
    parser.add_argument("--version", type=_version, default=1, help="number of the version that --model is")
    parser.add_argument(
        "--host", help="address to listen on; default: the endpoint's, 127.0.0.1, or all if AIP_* is set"
    )
    parser.add_argument("--port", type=_port, help="port to listen on; default: the endpoint's, or AIP_HTTP_PORT")
    parser.add_argument("--grpc-port", type=_port, help="port of the gRPC service; default: the endpoint's, or none")
    parser.add_argument("--keep", action="store_true", help="restart the server when a signal kills it")
    parser.add_argument("--log-texts", action="store_true", help="write the texts of requests to the log")
    parser.add_argument(
        "--sample-requests", type=_share, default=0.0, help="share of the answers to sample, from 0 to 1; default 0"
    )
    parser.add_argument("--sample-folder", type=local, help="folder or bucket address of the samples")
    parser.add_argument("--sample-texts", action="store_true", help="store the texts of sampled requests too")
    parser.add_argument(
        "--redact",
        default="",
        metavar="MODULE:FUNCTION",
        help="function that is applied to texts before they are stored",
    )
    parser.add_argument(
        "--sample-megabytes", type=_above_0(int), default=1000, help="largest size of the samples; default 1000"
    )
    for limit in dataclasses.fields(Limits):
        flag = "--max-" + limit.name.replace("_", "-")
        parser.add_argument(flag, type=_above_0(type(limit.default)), default=limit.default, help="default %(default)s")
    return parser


def _serve(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if not (options.endpoint or options.model or environment.get("AIP_STORAGE_URI")):
        raise UserError("no model to serve: pass --endpoint or --model, or set AIP_STORAGE_URI")
    with one_early():
        return _serve_model(options, environment)


def _serve_model(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from seqline.serving.server import Address, serve
    from seqline.serving.sources import EndpointSource, Source, StorageSource

    limits = Limits(**{limit.name: getattr(options, f"max_{limit.name}") for limit in dataclasses.fields(Limits)})
    source: Source
    if options.endpoint:
        endpoint = Endpoint(options.endpoint.resolve())
        settings = endpoint.read()
        if settings is None:
            raise UserError(f"there is no endpoint at {options.endpoint}; `seqline run` creates one")
        if options.name:
            raise UserError(f"--name has no effect with --endpoint; the model has the endpoint's name, {settings.name}")
        if options.sample_requests:
            raise UserError("the endpoint's settings control sampling; set serving.sample_requests and deploy")
        source = EndpointSource(endpoint)
        name, host, port, grpc_port = settings.name, settings.host, settings.port, settings.grpc_port
    else:
        location = options.model or environment["AIP_STORAGE_URI"]
        source = StorageSource(location, options.version, _sampling(options))
        # A container's port is reached from outside; a laptop's is not.
        in_container = environment.keys() & {"AIP_STORAGE_URI", "AIP_HTTP_PORT"}
        name, host = options.name or "model", "0.0.0.0" if in_container else "127.0.0.1"  # noqa: S104
        port, grpc_port = _port_of(environment), 0
    address = Address(
        options.host or host,
        options.port or port,
        grpc_port if options.grpc_port is None else options.grpc_port,
        environment.get("AIP_HEALTH_ROUTE", "/healthz"),
        environment.get("AIP_PREDICT_ROUTE"),
    )
    serve(name, source, address, limits, options.log_texts)
    return 0


def _sampling(options: argparse.Namespace) -> Sampling:
    """What is sampled, checked before anything is served."""
    if not options.sample_requests:
        for name in ("sample_texts", "redact", "sample_folder"):
            if getattr(options, name):
                flag = "--" + name.replace("_", "-")
                raise UserError(
                    f"{flag} has no effect without --sample-requests; set the share of the answers to sample"
                )
        return Sampling()
    if not options.sample_folder:
        raise UserError("--sample-requests needs --sample-folder: a folder, or an address such as gs://bucket/samples")
    if options.redact:
        from seqline.sampling.redaction import find_hook

        find_hook(options.redact)
    return Sampling(
        options.sample_requests,
        options.sample_texts,
        options.redact,
        options.sample_folder,
        int(options.sample_megabytes),
    )


def _share(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {given!r}")
    return value


def _port_of(environment: Mapping[str, str]) -> int:
    given = environment.get("AIP_HTTP_PORT", "8080")
    try:
        return _port(given)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"AIP_HTTP_PORT {error}") from None


def _name(given: str) -> str:
    if not NAME.fullmatch(given):
        raise argparse.ArgumentTypeError(f"must be lower-case letters, digits and hyphens, not {given!r}")
    return given


def _version(given: str) -> int:
    if not given.isdecimal() or not 0 < int(given[:11]) < 2**31:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {given!r}")
    return int(given)


def _port(given: str) -> int:
    if not given.isdecimal() or int(given[:6]) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port up to 65535, not {given!r}")
    return int(given)


def _above_0(kind: type) -> Callable[[str], float]:
    """Returns the reader of a limit: a finite number above 0."""

    def read(given: str) -> float:
        try:
            value: float = kind(given)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            number = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a {number} above 0, not {given!r}")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
