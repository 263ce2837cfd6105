"""A queue of a stream's partial answers that stays small, whatever its reader does."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# Beyond this, a new item replaces the one before: each contains the text so far, so nothing is lost.
QUEUED = 16


class PartialAnswers(Generic[T]):
    """The items of a stream, of which a later one supersedes the one before."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Adds an item.

        Args:
            item: The item.
        """
        if len(self._items) >= QUEUED:
            self._items.pop()
        self._items.append(item)
        self._changed.set()

    def end(self, error: BaseException | None = None) -> None:
        """Ends the stream; only the first call counts.

        Args:
            error: What the reader gets after the items; None for a normal end.
        """
        if not self._ended:
            self._ended, self._error = True, error
            self._changed.set()

    def __aiter__(self) -> "PartialAnswers[T]":
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._error:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
