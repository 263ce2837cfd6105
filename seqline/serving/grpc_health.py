"""gRPC's health service, grpc.health.v1: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.

It reports what the health check of HTTP reports, and NOT_SERVING to those that watch as soon as the server drains.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

State = health_pb2.HealthCheckResponse
# Seconds between two looks at the state of a client that watches it.
WATCH_SECONDS = 0.5


class Health(health_pb2_grpc.HealthServicer):
    """Answers for the server as a whole, under the empty name, and for each of its services.

    Args:
        healthy: Whether every version with a traffic share answers.
        draining: Whether the server has been asked to stop.
        services: Names of the services.
    """

    def __init__(
        self, healthy: Callable[[], Awaitable[bool]], draining: Callable[[], bool], services: tuple[str, ...]
    ) -> None:
        self._healthy, self._draining = healthy, draining
        self._services = {"", *services}

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        """Returns the state; NOT_FOUND for a service that is not there."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return State(status=await self._state())

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 (gRPC's name)
        """Sends the state, and each change; ends when the server drains, so that it need not wait for the client."""
        sent = None
        while True:
            draining = self._draining()
            state = await self._state() if request.service in self._services else State.SERVICE_UNKNOWN
            if state != sent:
                await context.write(State(status=state))
                sent = state
            if draining:
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def _state(self) -> int:
        serving = not self._draining() and await self._healthy()
        return int(State.SERVING if serving else State.NOT_SERVING)
