"""What the routes of an interface use of the application: how bodies are read and answers awaited."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from fastapi import Request

T = TypeVar("T")
GONE = 499  # no client reads it


class Read(Protocol):
    """Reads a request's body by a parser, and returns it with the client's id of the request."""

    async def __call__(self, request: Request, parse: Callable[..., T]) -> tuple[T, str] | None:
        """Returns None if the client disconnected."""


class Wait(Protocol):
    """Awaits an answer."""

    async def __call__(self, request: Request, answer: Coroutine[Any, Any, T]) -> T | None:
        """Returns None if the client disconnects first."""
