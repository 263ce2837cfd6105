"""Adaptive batching: texts that arrive while the model is busy are answered together."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from seqline.serving.answers import Answer, Parameters
from seqline.serving.engine import Engine, EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits

# Larger batches hardly reduce the time per text, and all of their texts wait for the longest one.
SMALL_BATCH = 12
# A text passes batches whose longest texts are so long, in characters, and so many times as long as it is.
LONG_TEXT, TIMES_LONGER = 60, 2
# Passing delays the texts in flight: for so many times as long as it took, only much shorter texts pass again.
REST, TIMES_LONGER_AT_REST = 9, 4


class BusyError(Exception):
    """Too many texts are waiting.

    Attributes:
        retry_after: Seconds until the queue is likely to have room.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(eq=False)
class _Item:
    text: str
    parameters: Parameters
    answer: "asyncio.Future[Answer]"
    arrived: float
    alone: bool = False  # its batch failed or crashed the worker, so it is retried by itself
    crashed: bool = False  # it was in flight when the worker ended, so it is retried with nothing beside it

    @property
    def bucket(self) -> int:
        """Bucket of texts whose lengths differ by at most a factor of four; all short texts share one."""
        return max(4, math.ceil(math.log(len(self.text) + 1, 4)))


@dataclass
class _Flight:
    """A batch in flight.

    Attributes:
        started: Its start.
        longest: Length of its longest text.
        passing: Whether it passed others.
        crashed: Whether its text was in flight when the worker ended.
    """

    started: float
    longest: int
    passing: bool
    crashed: bool


class Batcher:
    """The queue of a version's worker.

    An idle model gets a text at once. While it is busy, texts queue; when it is free, the oldest text is sent together
    with texts of similar length: a few, or an equal share of the queue. After a larger batch it first waits for a
    twentieth of that batch's time, so that clients that just received an answer can send a request for the next one.

    While only long texts are in flight, short ones do not wait for them: one more batch, of short texts, runs beside
    those that keep the model busy. Texts half as long do so for a tenth of the time at most.

    One text can fail its whole batch, or crash the worker and fail every batch in flight. All of these texts are
    retried one by one; those of a crash with nothing beside them, so that no text fails because of another.

    Args:
        engine: The worker.
        limits: Limits of the queue and the batch.
        concurrency: Number of batches in flight, besides one of short texts.
        on_batch: Called with the size, the seconds and the longest wait of every batch.
        clock: Seconds that only rise, in step with the event loop's.

    Attributes:
        answered: Time of the last answer.
        failed: Whether the model has failed since.
        closed: Whether its version is unloaded and needs no worker any more.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        concurrency: int,
        on_batch: Callable[[int, float, float], None] = lambda size, seconds, waited: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine, self.limits, self.concurrency, self.on_batch = engine, limits, concurrency, on_batch
        self._clock = clock
        self.answered = -math.inf
        self.failed = self.closed = False
        self._queue: list[_Item] = []
        self._in_flight: dict[asyncio.Task[None], _Flight] = {}
        self._linger: asyncio.TimerHandle | None = None
        self._rested = -math.inf  # when texts may pass again
        self._last: tuple[float, float, int] = (-math.inf, 0.0, 0)  # end, seconds and size of the last batch
        self._texts_a_second = 0.0
        self._streams = 0

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or in flight."""
        return not self._queue and not self._in_flight and not self._streams

    @property
    def works(self) -> bool:
        """Whether a batch is in flight that is within its time limit, after one that did not fail."""
        oldest = min((flight.started for flight in self._in_flight.values()), default=-math.inf)
        return not self.failed and self._clock() - oldest < self.limits.worker_seconds

    @property
    def has_free_stream(self) -> bool:
        """Whether one more stream may start."""
        return self._streams < self.limits.streams

    async def ask(self, texts: list[str], parameters: Parameters = ()) -> list[Answer]:
        """Answers texts, batched with those of other requests.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.

        Returns:
            An answer for each, in their order.

        Raises:
            BusyError: If the queue is full, or too long to be answered within the time limit of a request.
            ModelFailedError: If the model raised an error.
            EngineGoneError: If the worker ended twice.
        """
        late = len(self._queue) > self._texts_a_second * self.limits.seconds > 0
        if late or len(self._queue) + len(texts) > self.limits.queue:
            raise BusyError(self._retry_after())
        loop = asyncio.get_running_loop()
        items = [_Item(text, parameters, loop.create_future(), self._clock()) for text in texts]
        self._queue += items
        self._pump()
        try:
            return list(await asyncio.gather(*(item.answer for item in items)))
        except BaseException:
            # Disconnected or timed out: texts in the queue need no answer.
            for item in items:
                item.answer.cancel()
            self._queue = [item for item in self._queue if not item.answer.done()]
            raise

    async def stream(self, texts: list[str], parameters: Parameters = ()) -> AsyncGenerator[list[Answer], None]:
        """Answers texts token by token, concurrently with the batches.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.

        Yields:
            The answer so far for each text.

        Raises:
            BusyError: If the limit of streams is reached.
            ModelFailedError: If the model raised an error.
            EngineGoneError: If the worker ended.
        """
        if not self.has_free_stream:
            raise BusyError(self._retry_after())
        self._streams += 1
        try:
            async with contextlib.aclosing(self.engine.stream(texts, parameters)) as stream:
                async for answers in stream:
                    self.answered = self._clock()
                    yield answers
        finally:
            self._streams -= 1

    def replace(self, engine: Engine) -> None:
        """Continues with a new worker.

        Args:
            engine: The worker that replaces the one that ended.
        """
        self.engine = engine
        self._pump()

    def fail(self) -> None:
        """Fails all queued texts, because the worker ended and no other could be started."""
        for item in self._queue:
            if not item.answer.done():
                item.answer.set_exception(EngineGoneError())
        self._queue.clear()

    def close(self) -> None:
        """Fails all queued texts, because the version is unloaded."""
        self.closed = True
        self.fail()

    def _retry_after(self) -> int:
        return max(1, min(60, math.ceil(len(self._queue) / self._texts_a_second))) if self._texts_a_second else 1

    def _pump(self, lingered: bool = False) -> None:
        if lingered:
            self._linger = None
        while self._may_start() and self._busy_lanes() < self.concurrency:
            if not lingered and self._wait_for_more():
                return
            self._start(self._take())
        if self._may_start():
            self._start(self._take_short(), passing=True)

    def _may_start(self) -> bool:
        """Whether a batch may start: a text that was in a crash starts once nothing is in flight, and runs alone."""
        if not self._queue or self.engine.lost:
            return False
        apart = self._queue[0].crashed or any(flight.crashed for flight in self._in_flight.values())
        return not (apart and self._in_flight)

    def _busy_lanes(self) -> int:
        return sum(not flight.passing for flight in self._in_flight.values())

    def _start(self, batch: list[_Item], passing: bool = False) -> None:
        if batch:
            task = asyncio.create_task(self._run(batch))
            longest = max(len(item.text) for item in batch)
            self._in_flight[task] = _Flight(self._clock(), longest, passing, batch[0].crashed)

    def _wait_for_more(self) -> bool:
        """Whether to linger: only if the last batch just ended and had many texts, and the next is not full."""
        if self._linger:
            return True
        ended, seconds, size = self._last
        pause = min(seconds / 20, 0.01)
        if len(self._queue) >= self.limits.batch or size < SMALL_BATCH or self._clock() - ended > pause:
            return False
        self._linger = asyncio.get_running_loop().call_later(pause, self._pump, True)
        return True

    def _take(self) -> list[_Item]:
        self._queue = [item for item in self._queue if not item.answer.done()]
        if not self._queue:
            return []
        oldest = self._queue[0]
        if oldest.alone:
            chosen = [oldest]
        else:
            similar = [
                item
                for item in self._queue
                if item.parameters == oldest.parameters and item.bucket == oldest.bucket and not item.alone
            ]
            similar = _distinct(similar)
            size = min(self.limits.batch, max(SMALL_BATCH, math.ceil(len(similar) / self.concurrency)))
            if len(similar) > size:
                length = len(oldest.text)
                similar.sort(key=lambda item: abs(len(item.text) - length))  # stable: the oldest stays first
            chosen = similar[:size]
        return self._taken(chosen)

    def _take_short(self) -> list[_Item]:
        """Takes texts that are much shorter than those in flight, unless others already pass them."""
        flights = self._in_flight.values()
        shortest = min((flight.longest for flight in flights), default=0)
        if shortest < LONG_TEXT or any(flight.passing for flight in flights):
            return []
        times = TIMES_LONGER if self._clock() >= self._rested else TIMES_LONGER_AT_REST
        short = [
            item
            for item in self._queue
            if times * len(item.text) <= shortest and not item.alone and not item.answer.done()
        ]
        chosen = _distinct([item for item in short if item.parameters == short[0].parameters])
        return self._taken(chosen[: min(self.limits.batch, SMALL_BATCH)])

    def _taken(self, chosen: list[_Item]) -> list[_Item]:
        """Removes texts from the queue, and returns them."""
        taken = set(map(id, chosen))
        self._queue = [item for item in self._queue if id(item) not in taken]
        return chosen

    async def _run(self, batch: list[_Item]) -> None:
        started = self._clock()
        try:
            answers, seconds = await self.engine.predict([item.text for item in batch], batch[0].parameters)
        except EngineGoneError as error:
            self._retry(batch, error, at_fault=batch[0].crashed)
            for item in batch:
                item.crashed = True
        except ModelFailedError as error:
            self.answered, self.failed = -math.inf, True
            self._retry(batch, error, at_fault=len(batch) == 1)
        else:
            for item, answer in zip(batch, answers, strict=True):
                if not item.answer.done():
                    item.answer.set_result(answer)
            ended = self.answered = self._clock()
            self.failed = False
            self._last = (ended, ended - started, len(batch))
            pace = self.concurrency * len(batch) / max(ended - started, 1e-6)
            self._texts_a_second = pace if not self._texts_a_second else 0.9 * self._texts_a_second + 0.1 * pace
            self.on_batch(len(batch), seconds, started - batch[0].arrived)
        finally:
            flight = self._in_flight.pop(asyncio.current_task())  # type: ignore[arg-type]
            if flight.passing:
                now = self._clock()
                self._rested = now + REST * (now - flight.started)
            self._pump()

    def _retry(self, batch: list[_Item], error: Exception, at_fault: bool) -> None:
        """Puts a failed batch back into the queue, or fails its only text, which is at fault."""
        retried = [item for item in batch if not item.answer.done()]
        for item in retried:
            item.alone = True
            if at_fault:
                item.answer.set_exception(error)
        self._queue = [item for item in retried if not item.answer.done()] + self._queue


def _distinct(items: list[_Item]) -> list[_Item]:
    """Leaves out repeated texts that are sampled without a seed: a batch would give them the same output."""
    parameters = dict(items[0].parameters) if items else {}
    if not parameters.get("sampling") or "seed" in parameters:
        return items
    first: dict[str, _Item] = {}
    for item in items:
        first.setdefault(item.text, item)
    return list(first.values())
