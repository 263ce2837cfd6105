"""`python -m components.serve`: the model server.

On a laptop it serves an endpoint's folder and follows its endpoint.json. In the serving image, Vertex says by
`AIP_STORAGE_URI`, `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE` what to serve, and where.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.errors import UserError
from components.serve.endpoint import Endpoint


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Runs the server until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        arguments: The command line.
        environment: Where the `AIP_*` variables are.

    Returns:
        The exit code: 0, or 1 after a message.
    """
    parser = argparse.ArgumentParser(prog="python -m components.serve", description="The model server.")
    parser.add_argument("--endpoint", type=Path, help="folder of a local endpoint; else AIP_STORAGE_URI says what")
    parser.add_argument("--model", help="an exported model to serve as it is: a folder or gs://")
    parser.add_argument("--host", help="address to listen on; by default the endpoint's, or all in a container")
    parser.add_argument("--port", type=int, help="port to listen on; by default the endpoint's, or AIP_HTTP_PORT")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return _serve(given, environment)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    import uvicorn

    from components.serve.app import make_app
    from components.serve.versions import SingleVersion, Versions

    versions: Versions | SingleVersion
    if given.endpoint:
        endpoint = Endpoint(given.endpoint.resolve())
        settings = endpoint.read()
        if settings is None:
            raise UserError(f"there is no endpoint at {given.endpoint}; `seqline run` makes one")
        name, host, port = settings.name, given.host or settings.host, given.port or settings.port
        versions = Versions(endpoint)
    else:
        place = given.model or environment.get("AIP_STORAGE_URI")
        if not place:
            raise UserError("nothing to serve: give --endpoint or --model, or set AIP_STORAGE_URI")
        name, host = "model", given.host or "0.0.0.0"  # noqa: S104 (a container's port is reached from outside)
        port = given.port or int(environment.get("AIP_HTTP_PORT", "8080"))
        versions = SingleVersion(_here(place))
    listener = _listen(host, port)
    logging.getLogger(__name__).info("listening on http://%s:%d; loading the model", host, port)
    versions.start()
    app = make_app(
        name, versions, environment.get("AIP_HEALTH_ROUTE", "/healthz"), environment.get("AIP_PREDICT_ROUTE")
    )
    # uvicorn raises the signal again once it has shut down; a clean shutdown is to exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=15))
    server.run(sockets=[listener])
    versions.stop()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}); choose another port") from None
    return listener


def _here(place: str) -> Path:
    """A local folder as it is; a bucket's folder copied here."""
    if "://" not in place:
        return Path(place)
    import fsspec

    folder = Path(tempfile.mkdtemp(prefix="model."))
    files, root = fsspec.core.url_to_fs(place)
    files.get(root.rstrip("/") + "/", f"{folder}/", recursive=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
