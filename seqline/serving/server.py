"""The server's process: puts the parts together, listens, and ends in order."""

import logging
import signal
import socket
from dataclasses import dataclass

import uvicorn
import uvloop

from seqline.errors import UserError
from seqline.serving.app import make_app
from seqline.serving.engine import Device
from seqline.serving.grpc_service import start_grpc
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.service import Service
from seqline.serving.sources import Source
from seqline.serving.versions import Versions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a server is reached.

    Attributes:
        host: Address that it listens on.
        port: Port of HTTP.
        grpc_port: Port of gRPC; 0 for none.
        health_route: Path of the health check.
        predict_route: A further path for predictions; None for none.
    """

    host: str
    port: int
    grpc_port: int = 0
    health_route: str = "/healthz"
    predict_route: str | None = None


def serve(name: str, source: Source, address: Address, limits: Limits, log_texts: bool = False) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        name: The model's name in addresses.
        source: What to serve.
        address: Where.
        limits: What is refused.
        log_texts: Whether texts go into the log.

    Raises:
        UserError: If a port is taken.
    """
    listener = _listen(address.host, address.port)
    # uvicorn raises the signal again once it has shut down; a clean shutdown is to exit with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvloop.run(_serve(name, source, address, limits, log_texts, listener))


async def _serve(
    name: str, source: Source, address: Address, limits: Limits, log_texts: bool, listener: socket.socket
) -> None:
    metrics = Metrics()
    versions = Versions(source, limits, Device.here(), on_batch=metrics.on_batch)
    service = Service(name, versions, limits, metrics, log_texts)
    log.info("listening on http://%s:%d; loading the model", address.host, address.port)
    versions.start()
    try:
        grpc_server = await start_grpc(service, address.host, address.grpc_port) if address.grpc_port else None
        config = uvicorn.Config(
            make_app(service, address.health_route, address.predict_route),
            log_config=None,
            log_level="warning",
            access_log=False,
            http="httptools",
            # Longer than the 600 s for which Google's load balancers keep a connection, so that they close it first.
            timeout_keep_alive=620,
            timeout_graceful_shutdown=int(limits.drain_seconds),
        )
        await uvicorn.Server(config).serve(sockets=[listener])
        if grpc_server:
            await grpc_server.stop(limits.drain_seconds)
    finally:
        await versions.stop()
    log.info("stopped; every request was answered")


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}); choose another port") from None
    return listener
