"""gRPC's health service, with its own client over a real connection."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from seqline.serving import grpc_health
from seqline.serving import versions as versions_module
from seqline.serving.grpc_service import start_grpc
from seqline.serving.limits import Limits
from tests import smoke_grpc
from tests.servers import InProcess, StandInEngine, free_port, in_process

SERVING, NOT_SERVING, UNKNOWN = "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    monkeypatch.setattr(grpc_health, "WATCH_SECONDS", 0.01)
    with in_process({1: StandInEngine()}) as server:
        yield server


@pytest.fixture
def health(server: InProcess) -> Iterator[health_pb2_grpc.HealthStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)


def check(health: health_pb2_grpc.HealthStub, service: str = "") -> str:
    try:
        state = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    except grpc.RpcError as error:
        return str(error.code().name)
    return named(state)


def watch(health: health_pb2_grpc.HealthStub, service: str = "") -> Iterator[str]:
    return map(named, health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=60))


def named(state: health_pb2.HealthCheckResponse) -> str:
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(state.status))


@pytest.mark.parametrize(
    ("service", "state"),
    [
        ("", SERVING),
        ("tensorflow.serving.PredictionService", SERVING),
        ("tensorflow.serving.ModelService", SERVING),
        ("other.Service", "NOT_FOUND"),
    ],
)
def test_a_server_with_a_loaded_version_serves(health: health_pb2_grpc.HealthStub, service: str, state: str) -> None:
    assert check(health, service) == state


def test_it_reports_what_the_health_check_of_http_reports(
    server: InProcess, health: health_pb2_grpc.HealthStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "FRESH_SECONDS", 0.0)
    seen = watch(health)
    assert next(seen) == SERVING
    # The model is asked, and fails.
    server.engines[1].error = ValueError("broken")
    assert next(seen) == NOT_SERVING
    assert check(health) == NOT_SERVING
    server.engines[1].error = None
    assert next(seen) == SERVING


def test_without_a_version_that_has_traffic_it_does_not_serve(
    server: InProcess, health: health_pb2_grpc.HealthStub
) -> None:
    server.set({})
    assert check(health) == NOT_SERVING


def test_a_server_that_drains_says_so_and_ends_the_watches(
    server: InProcess, health: health_pb2_grpc.HealthStub
) -> None:
    seen, other = watch(health), watch(health, "other.Service")
    assert (next(seen), next(other)) == (SERVING, UNKNOWN)
    server.draining.set()
    assert list(seen) == [NOT_SERVING]
    assert list(other) == []
    assert check(health) == NOT_SERVING
    # Requests in flight are still answered.
    assert server.predict("a").status_code == 200


def test_it_listens_on_an_address_of_ipv6() -> None:
    port = free_port()

    async def main() -> int:
        service: Any = SimpleNamespace(limits=Limits(), versions=SimpleNamespace(healthy=healthy))
        server = await start_grpc(service, "::1", port, lambda: False)
        async with grpc.aio.insecure_channel(f"[::1]:{port}") as channel:
            state = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
        await server.stop(0)
        return int(state.status)

    async def healthy() -> bool:
        return True

    assert asyncio.run(main()) == health_pb2.HealthCheckResponse.SERVING


def test_the_request_of_the_smoke_test_is_answered(server: InProcess) -> None:
    metadata = [("x-vertex-ai-endpoint-id", "1")]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        assert smoke_grpc.predict(channel, "grüße", name="m", metadata=metadata) == "grüße"
