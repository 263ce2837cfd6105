"""Model servers for tests: the real process on a reserved port, or the interfaces in this process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

# To make a client takes longer than most requests.
client = httpx.Client(timeout=90, limits=httpx.Limits(max_connections=None))

_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port that no other program gets while this process runs.

    Its socket stays bound, so that the kernel gives it to nobody; a server that sets SO_REUSEADDR can listen on it.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _reserved.append(reserved)
    return int(reserved.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Waits for a condition that no event announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
        wait_ready(f"{url}/ping", process, log)
        yield Server(url, f"{url}/answer", f"{url}/ping", port, grpc_port, process.pid, str(log))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_as_data(folder: Path, model: str, *flags: str) -> Iterator[dict[str, object]]:
    """A running server as plain data, for other processes."""
    with running(folder, model, *flags) as server:
        yield asdict(server)


def wait_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Waits until a server's health check succeeds; its model must load at the first attempt."""

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        assert "failed to load" not in log.read_text(), log.read_text()
        try:
            return client.get(url).status_code == 200
        except httpx.TransportError:
            return False

    until(ready, 300)


class StandInEngine:
    """A worker in this process, controlled by a test in another thread.

    Attributes:
        name: Its answer to a text is the name and the text.
        open: While it is cleared, batches wait.
        started: Released when a batch starts.
        error: Raised for every batch, if set.
        steps: The answers that a stream yields; an exception among them is raised.
        counts: The numbers of tokens that its answers have.
        cut: Whether its answers are those of truncated texts.
        asked: The parameters of the last batch.
        closed: Set once a stream has ended.
    """

    def __init__(self, name: str = "", signatures: tuple[str, ...] = ("serving_default",)) -> None:
        self.metadata: dict[str, Any] = {"json": {each: {} for each in signatures}, "proto": {}, "description": {}}
        self.name = name
        self.open, self.closed = threading.Event(), threading.Event()
        self.open.set()
        self.started = threading.Semaphore(0)
        self.error: Exception | None = None
        self.steps: Iterable[Any] = []
        self.counts: Any = None
        self.cut = False
        self.asked: dict[str, Any] = {}
        self.lost = False
        self.gone: asyncio.Future[None]

    async def predict(self, texts: list[str], parameters: Any) -> tuple[list[Any], float]:
        from seqline.serving.answers import Answer

        self.started.release()
        await self._opened()
        if self.error:
            raise self.error
        self.asked = dict(parameters)
        others = tuple((f"{self.name}{number}", 0.0) for number in range(1, self.asked.get("n_best", 1)))
        return [Answer(self.name + text, 0.0, others, self.cut, self.counts) for text in texts], 0.0

    async def stream(self, texts: list[str], parameters: Any) -> AsyncGenerator[list[Any], None]:
        from seqline.serving.answers import Answer

        self.started.release()
        try:
            for step in self.steps:
                await self._opened()
                if isinstance(step, Exception):
                    raise step
                yield [Answer(text, -0.5, (), self.cut, self.counts) for text in step]
                await asyncio.sleep(0.001)  # a token takes some time
        finally:
            self.closed.set()

    async def stop(self) -> None:
        self.open.set()

    async def _opened(self) -> None:
        if not self.open.is_set():
            await asyncio.get_running_loop().run_in_executor(None, self.open.wait)


@dataclass
class InProcess:
    """A server in this process; its endpoint is named m.

    Attributes:
        url: Its address.
        grpc_port: The port of gRPC.
        versions: Its versions.
        engines: Their workers, by version.
        connections: The open connections of HTTP.
        draining: To set when gRPC is to see the server draining.
    """

    url: str
    grpc_port: int
    versions: Any
    engines: dict[int, StandInEngine]
    connections: set[Any]
    draining: threading.Event

    @property
    def route(self) -> str:
        return f"{self.url}/v1/models/m:predict"

    def set(self, traffic: dict[int, int], **aliases: int) -> None:
        """Sets the desired state, and waits until it is applied."""
        from seqline.serving.sources import Desired

        self.versions.source.wanted = Desired(traffic, aliases)
        until(lambda: self.versions.applied == self.versions.source.wanted)

    def predict(self, *texts: str, path: str = ":predict", **more: Any) -> httpx.Response:
        return client.post(f"{self.url}/v1/models/m{path}", json={"instances": texts, **more})


@contextmanager
def in_process(engines: dict[int, StandInEngine], concurrency: int = 2, **options: Any) -> Iterator[InProcess]:
    """The interfaces over real connections, with the real queue and versions; all traffic goes to the first one.

    Args:
        engines: The workers, by version.
        concurrency: Batches in flight of each.
        options: Limits, log_texts and sampling.
    """
    import pytest
    import uvicorn
    import uvloop

    from seqline.endpoints.sampling import Sampling
    from seqline.serving import versions as module
    from seqline.serving.engine import Device
    from seqline.serving.grpc_service import start_grpc
    from seqline.serving.limits import Limits
    from seqline.serving.metrics import Metrics
    from seqline.serving.server import Address, http_config
    from seqline.serving.service import Service
    from seqline.serving.sources import Desired

    sampling = options.pop("sampling", Sampling())

    class Engines:
        wanted = Desired({min(engines): 100}, sampling=sampling)

        def desired(self) -> Desired:
            return self.wanted

        def model(self, version: int) -> Path | None:
            return Path(str(version)) if version in engines else None

    async def start(model: Path, device: Device, limits: Limits) -> StandInEngine:
        engine = engines[int(model.name)]
        engine.gone = asyncio.get_running_loop().create_future()
        return engine

    log_texts = options.pop("log_texts", False)
    limits, metrics = Limits(**options), Metrics()
    versions = module.Versions(Engines(), limits, Device(concurrency, 1), 0.01, metrics.on_batch)
    service = Service("m", versions, limits, metrics, log_texts)
    server = uvicorn.Server(http_config(service, Address("127.0.0.1", 0)))
    grpc_port, draining = free_port(), threading.Event()

    async def serve() -> None:
        service.start()
        versions.start()
        grpc_server = await start_grpc(service, "127.0.0.1", grpc_port, draining.is_set)
        await server.serve(sockets=[listener])
        await grpc_server.stop(0)
        await versions.stop()
        service.close()

    with socket.socket() as listener, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Engine, "start", start)
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: uvloop.run(serve()))
        thread.start()
        try:
            until(lambda: server.started and versions.loaded)
            yield InProcess(
                f"http://127.0.0.1:{listener.getsockname()[1]}",
                grpc_port,
                versions,
                engines,
                server.server_state.connections,
                draining,
            )
        finally:
            for engine in engines.values():
                engine.open.set()
            server.should_exit = True
            thread.join()
