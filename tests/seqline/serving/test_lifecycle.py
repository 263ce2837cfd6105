"""Killed workers, graceful shutdown and the log, with real processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from seqline.artifacts.request_log import read_requests
from seqline.serving.engine import Device
from tests import light_models
from tests.servers import Server, client, running, until

pytestmark = pytest.mark.e2e(seconds=3)


def predict(server: Server, text: str) -> httpx.Response:
    return client.post(server.route, json={"instances": [text]})


def answers(server: Server, text: str) -> str:
    return str(predict(server, text).json()["predictions"][0]["text"])


def workers(server: Server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that returns upper case."""
    folder = tmp_path_factory.mktemp("light")
    model = light_models.save(folder / "loud", "upper")
    with running(folder, str(model), **light_models.environment()) as server:
        yield server


def test_a_killed_worker_is_restarted_and_its_requests_wait(light: Server) -> None:
    (worker,) = workers(light)
    os.kill(worker, signal.SIGKILL)
    assert answers(light, "a") == "A"
    assert workers(light) != [worker]
    assert "seqline_worker_restarts 1.0" in client.get(f"{light.url}/metrics").text
    assert "the process of version 1 ended; restarting it" in light.read_log()


def test_the_log_has_requests_but_no_texts(light: Server) -> None:
    client.post(light.route, json={"instances": ["secret"]}, headers={"X-Request-Id": "r-1"})
    client.post(light.route, json={"instances": ["secret" * 10_000]})
    client.post(light.route, content=b'{"instances": ["secret", 3]}')
    assert '"request_id": "r-1"' in light.read_log()
    assert "secret" not in light.read_log().lower()


def test_on_sigterm_requests_in_flight_are_completed_and_new_ones_are_refused(tmp_path: Path) -> None:
    model = light_models.save(tmp_path / "slow", "gated")
    samples = tmp_path / "samples"
    flags = ("--max-batch", "1", "--sample-requests", "1", "--sample-folder", str(samples))
    with (
        running(tmp_path, str(model), *flags, **light_models.environment()) as server,
        ThreadPoolExecutor(6) as clients,
    ):
        requests = [clients.submit(predict, server, f"slow {number}") for number in range(6)]
        in_flight = Device.here().concurrency
        queued = f'seqline_queue_texts{{version="1"}} {6 - in_flight}.0'
        with httpx.Client() as other:
            until(lambda: queued in other.get(f"{server.url}/metrics").text)
        os.kill(server.pid, signal.SIGTERM)

        def refused() -> bool:
            try:
                httpx.get(f"{server.url}/metrics")
            except httpx.ConnectError:
                return True
            except httpx.ReadError:  # it was connected just before
                pass
            return False

        until(refused)
        # gRPC refuses new calls too, while requests of HTTP are in flight.
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            with pytest.raises(grpc.RpcError) as unavailable:
                health.Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert unavailable.value.code() == grpc.StatusCode.UNAVAILABLE
        (model / "open").touch()
        assert [answer.result().json()["predictions"][0]["text"] for answer in requests] == [
            f"slow {number}" for number in range(6)
        ]
    assert "all requests were completed" in server.read_log()
    ids = {answer.result().json()["predictions"][0]["id"] for answer in requests}
    assert set(read_requests(samples, columns=["id"]).table["id"].to_pylist()) == ids
