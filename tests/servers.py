"""Model servers for tests: the real process, on a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Server:
    """A running server: `route` is its predict URL, `health` its health URL."""

    url: str
    route: str
    health: str
    port: int
    grpc_port: int
    pid: int
    log: str

    def read_log(self) -> str:
        return Path(self.log).read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, model: str, *flags: str, **environment: str) -> Iterator[Server]:
    """A server as Vertex starts it, with AIP variables, and with gRPC. It must shut down gracefully."""
    port, grpc_port = free_port(), free_port()
    vertex = {"AIP_HTTP_PORT": str(port), "AIP_HEALTH_ROUTE": "/ping", "AIP_PREDICT_ROUTE": "/answer"}
    command = [sys.executable, "-m", "seqline.serving", "--host", "127.0.0.1", "--grpc-port", str(grpc_port), *flags]
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **vertex, "AIP_STORAGE_URI": model, **environment}, stderr=file
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(f"{url}/ping", process)
        yield Server(url, f"{url}/answer", f"{url}/ping", port, grpc_port, process.pid, str(log))
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_as_data(folder: Path, model: str, *flags: str) -> Iterator[dict[str, object]]:
    """A running server as plain data, for other processes."""
    with running(folder, model, *flags) as server:
        yield asdict(server)


def wait_ready(url: str, process: "subprocess.Popen[bytes]", seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not become healthy")
