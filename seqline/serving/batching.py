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

# One text can fail its whole batch or crash the worker: every text of the batch is retried once, alone.
ATTEMPTS = 2
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
    attempts: int = 0

    @property
    def bucket(self) -> int:
        """Bucket of texts whose lengths differ by at most a factor of four; all short texts share one."""
        return max(4, math.ceil(math.log(len(self.text) + 1, 4)))


@dataclass
class _Flight:
    """A batch in flight: its start, the length of its longest text, and whether it passed others."""

    started: float
    longest: int
    passing: bool


class Batcher:
    """The queue of a version's worker.

    An idle model gets a text at once. While it is busy, texts queue; when it is free, the oldest text is sent together
    with texts of similar length: a few, or an equal share of the queue. After a larger batch it first waits for a
    twentieth of that batch's time, so that clients that just received an answer can send a request for the next one.

    While only long texts are in flight, short ones do not wait for them: one more batch, of short texts, runs beside
    those that keep the model busy. Texts half as long do so for a tenth of the time at most.

    Args:
        engine: The worker.
        limits: Limits of the queue and the batch.
        concurrency: Number of batches in flight, besides one of short texts.
        on_batch: Called with the size, the seconds and the longest wait of every batch.
        clock: Seconds that only rise, in step with the event loop's.

    Attributes:
        answered: Time of the last answer.
        failed: Whether the model has failed since.
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
        self.failed = False
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
        if self._streams >= self.limits.streams:
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

    def _retry_after(self) -> int:
        return max(1, min(60, math.ceil(len(self._queue) / self._texts_a_second))) if self._texts_a_second else 1

    def _pump(self, lingered: bool = False) -> None:
        if lingered:
            self._linger = None
        while self._queue and self._busy_lanes() < self.concurrency and not self.engine.lost:
            if not lingered and self._wait_for_more():
                return
            self._start(self._take())
        if self._queue and not self.engine.lost:
            self._start(self._take_short(), passing=True)

    def _busy_lanes(self) -> int:
        return sum(not flight.passing for flight in self._in_flight.values())

    def _start(self, batch: list[_Item], passing: bool = False) -> None:
        if batch:
            task = asyncio.create_task(self._run(batch))
            self._in_flight[task] = _Flight(self._clock(), max(len(item.text) for item in batch), passing)

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
        if oldest.attempts:
            chosen = [oldest]
        else:
            similar = [
                item
                for item in self._queue
                if item.parameters == oldest.parameters and item.bucket == oldest.bucket and not item.attempts
            ]
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
            if times * len(item.text) <= shortest and not item.attempts and not item.answer.done()
        ]
        chosen = [item for item in short if item.parameters == short[0].parameters]
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
        except (EngineGoneError, ModelFailedError) as error:
            if isinstance(error, ModelFailedError):
                self.answered, self.failed = -math.inf, True
            attempts = ATTEMPTS if isinstance(error, EngineGoneError) or len(batch) > 1 else 1
            retried = [item for item in batch if not item.answer.done()]
            for item in retried:
                item.attempts += 1
                if item.attempts >= attempts:
                    item.answer.set_exception(error)
            self._queue = [item for item in retried if not item.answer.done()] + self._queue
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
