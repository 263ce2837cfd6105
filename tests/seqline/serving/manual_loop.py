"""An event loop whose clock only a test moves: timers run when it says so, on any machine."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NoWaiting(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "every task waits for another one"
        assert timeout <= 0, "every task waits for the clock"
        return super().select(0)


class ManualLoop(asyncio.SelectorEventLoop):
    """The loop; `now` is its time. What would run in a thread runs at once."""

    def __init__(self) -> None:
        super().__init__(_NoWaiting())
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a new manual loop."""
    loop = ManualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        while tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def clock() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def advance(seconds: float = 0.0) -> None:
    """Moves the clock, then lets every task go on until it waits again."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualLoop)
    loop.now += seconds
    for _ in range(30):
        await asyncio.sleep(0)
