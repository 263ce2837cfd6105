"""The server's process: creates the services, listens, and shuts down gracefully."""

import asyncio
import logging
import signal
import socket
from dataclasses import dataclass

import grpc
import uvicorn
import uvloop

from seqline.errors import UserError
from seqline.serving.app import make_app
from seqline.serving.engine import Device
from seqline.serving.garbage import relax_collector
from seqline.serving.grpc_service import start_grpc
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.protocol import limited
from seqline.serving.service import Service
from seqline.serving.sources import Source
from seqline.serving.versions import Versions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Addresses and routes of a server.

    Attributes:
        host: Address to listen on.
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
    """Serves until SIGTERM or SIGINT; requests in flight are completed first.

    Args:
        name: The model's name in URLs.
        source: Source of the versions to serve.
        address: Addresses and routes.
        limits: Limits of requests.
        log_texts: Whether to log texts.

    Raises:
        UserError: If a port is in use.
    """
    listener = _listen(address.host, address.port)
    # uvicorn raises the signal again after its shutdown; a graceful shutdown must exit with 0.
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
    service.start()
    versions.start()
    try:
        server = _Server(http_config(service, address))
        if address.grpc_port:
            # uvicorn sets should_exit on the signal, before it completes its requests.
            server.grpc_server = await start_grpc(service, address.host, address.grpc_port, lambda: server.should_exit)
        relax_collector()
        await server.serve(sockets=[listener])
    finally:
        await versions.stop()
        service.close()
    log.info("stopped; all requests were completed")


class _Server(uvicorn.Server):
    """The HTTP server, which stops gRPC when it stops: both refuse new requests, and drain at the same time.

    Attributes:
        grpc_server: The gRPC server; None for none.
    """

    grpc_server: "grpc.aio.Server | None" = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Completes the requests in flight."""
        stopping = [self.grpc_server.stop(self.config.timeout_graceful_shutdown)] if self.grpc_server else []
        await asyncio.gather(super().shutdown(sockets), *stopping)


def http_config(service: Service, address: Address) -> uvicorn.Config:
    """Configures the HTTP server.

    Args:
        service: The service that answers.
        address: Its routes.
    """
    return uvicorn.Config(
        make_app(service, address.health_route, address.predict_route),
        log_config=None,
        log_level="warning",
        access_log=False,
        http=limited(service.limits),
        ws="none",
        # Longer than the 600 s keep-alive of Google's load balancers, so that they close a connection first.
        timeout_keep_alive=620,
        timeout_graceful_shutdown=int(service.limits.drain_seconds),
    )


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}); choose another port") from None
    return listener
