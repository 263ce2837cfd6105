"""Loads and unloads a server's versions, and chooses the one that answers a request."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from seqline.errors import UserError
from seqline.serving.batching import Batcher
from seqline.serving.engine import Device, Engine
from seqline.serving.limits import Limits
from seqline.serving.sources import Desired, Source

log = logging.getLogger(__name__)

NOTHING = Desired()
"""Applied until the source has been read and a first version has loaded, or failed to."""
# Seconds before a failed load is retried, doubled each time.
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
# The health check sends a request to a model that has not answered for this long.
FRESH_SECONDS = 10.0


@dataclass(frozen=True)
class Loaded:
    """A loaded version.

    Attributes:
        version: Its number.
        batcher: Its queue and worker.
    """

    version: int
    batcher: Batcher


class Versions:
    """Loads and unloads versions to match the desired state of the source.

    A version gets traffic only after it is loaded and has answered, so no request waits for it or is lost; if it fails
    to load, the previous traffic split remains. A version that is no longer desired completes its requests and is
    unloaded. A worker that crashes is restarted, and its requests wait for that.

    Args:
        source: Source of the desired versions.
        limits: Limits of each version's queue.
        device: Each worker's share of the machine.
        poll_seconds: Seconds between two reads of the source.
        on_batch: Called with version, size, seconds and longest wait of every batch.
        clock: Seconds that only rise, in step with the event loop's.
    """

    def __init__(
        self,
        source: Source,
        limits: Limits,
        device: Device,
        poll_seconds: float = 0.25,
        on_batch: Callable[[int, int, float, float], None] = lambda version, size, seconds, waited: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.limits, self.device, self.poll_seconds = source, limits, device, poll_seconds
        self.on_batch, self._clock = on_batch, clock
        self.applied = NOTHING
        self.restarts = 0
        self._loaded: dict[int, Loaded] = {}
        self._failures: dict[int, Failure] = {}
        self._unreadable = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> list[Loaded]:
        """The loaded versions, oldest first."""
        return [self._loaded[version] for version in sorted(self._loaded)]

    @property
    def failures(self) -> dict[int, str]:
        """Error messages of desired versions that failed to load."""
        return {version: failure.message for version, failure in self._failures.items()}

    def start(self) -> None:
        """Starts following the source."""
        self._spawn(self._follow())

    async def stop(self) -> None:
        """Stops all workers."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(loaded.batcher.engine.stop() for loaded in self.loaded))

    def choose(self, version: int | None = None, alias: str | None = None) -> Loaded | None:
        """Chooses the version that answers.

        Args:
            version: Its number.
            alias: Its alias.

        Returns:
            That version; without number and alias one chosen by the traffic split; None if it is not loaded.
        """
        if alias is not None:
            version = self.applied.aliases.get(alias)
            return None if version is None else self._loaded.get(version)
        if version is not None:
            return self._loaded.get(version)
        shares = {
            version: share for version, share in self.applied.traffic.items() if share and version in self._loaded
        }
        return self._loaded[random.choices(list(shares), list(shares.values()))[0]] if shares else None

    async def healthy(self, seconds: float = 5.0) -> bool:
        """Whether every version with a traffic share answers; one that is busy does while its work is in time.

        Args:
            seconds: Time limit of a version that is idle and has not answered lately.
        """
        serving = [self._loaded[version].batcher for version, share in self.applied.traffic.items() if share]
        stale = [
            batcher for batcher in serving if self._clock() - batcher.answered > FRESH_SECONDS and not batcher.works
        ]
        try:
            await asyncio.wait_for(asyncio.gather(*map(_probe, stale)), seconds)
        except Exception as error:
            log.warning("health: the model does not respond (%s)", error or type(error).__name__)
            return False
        return bool(serving)

    def _serves(self, traffic: dict[int, int]) -> bool:
        return any(share and version in self._loaded for version, share in traffic.items())

    def _spawn(self, coroutine: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a task of the versions failed", exc_info=task.exception())

    async def _follow(self) -> None:
        while True:
            try:
                await self._approach(self.source.desired())
                self._unreadable = ""
            except Exception as error:
                # Any exception: without this loop, the server would never follow a deployment again.
                message = _message(error)
                if message != self._unreadable:
                    trace = None if isinstance(error, UserError) else error
                    log.error("%s; the served versions do not change", message, exc_info=trace)
                self._unreadable = message
            await asyncio.sleep(self.poll_seconds)

    async def _approach(self, desired: Desired) -> None:
        for version in [failed for failed in self._failures if failed not in desired.traffic]:
            del self._failures[version]
        for version in sorted(desired.traffic, key=lambda version: -desired.traffic[version]):
            if version not in self._loaded:
                await self._load(version)
            if not self._serves(self.applied.traffic):
                # At the start, the versions loaded so far take all requests.
                loaded = {v: s for v, s in desired.traffic.items() if v in self._loaded}
                self.applied = replace(desired, traffic=loaded)
        missing = [version for version, share in desired.traffic.items() if share and version not in self._loaded]
        if desired == self.applied or missing:
            return
        if desired.traffic != self.applied.traffic:
            log.info("traffic %s", " ".join(f"{version}:{share}%" for version, share in desired.traffic.items()))
        self.applied = desired
        for version in [loaded for loaded in self._loaded if loaded not in desired.traffic]:
            self._spawn(self._retire(self._loaded.pop(version)))

    async def _load(self, version: int) -> None:
        failure = self._failures.get(version)
        if failure and self._clock() < failure.retry_at:
            return
        started = self._clock()
        try:
            engine = await self._start(version)
        except Exception as error:
            message = _message(error)
            if not failure or failure.message != message:
                log.error("version %d failed to load: %s", version, message)
            self._failures[version] = Failure.after(failure, message, self._clock())
            return
        self._failures.pop(version, None)

        def on_batch(size: int, seconds: float, waited: float) -> None:
            self.on_batch(version, size, seconds, waited)

        loaded = Loaded(version, Batcher(engine, self.limits, self.device.concurrency, on_batch, self._clock))
        loaded.batcher.answered = self._clock()
        self._loaded[version] = loaded
        self._spawn(self._restart(loaded))
        log.info("version %d is loaded after %.1f s", version, self._clock() - started)

    async def _start(self, version: int) -> Engine:
        # In a thread: a download takes time, and requests are answered meanwhile.
        model = await asyncio.get_running_loop().run_in_executor(None, self.source.model, version)
        if model is None:
            raise UserError(f"there is no version {version}")
        return await Engine.start(model, self.device, self.limits)

    async def _restart(self, loaded: Loaded) -> None:
        failure = None
        while True:
            await asyncio.shield(loaded.batcher.engine.gone)
            unwanted = self._loaded.get(loaded.version) is not loaded
            if loaded.batcher.closed or (unwanted and loaded.batcher.idle):
                return
            if not failure:
                self.restarts += 1
                log.error("the process of version %d ended; restarting it", loaded.version)
            try:
                engine = await self._start(loaded.version)
            except Exception as error:
                failure = Failure.after(failure, _message(error), self._clock())
                log.error("version %d failed to load again: %s", loaded.version, failure.message)
                loaded.batcher.fail()
                await asyncio.sleep(failure.wait)
                continue
            failure = None
            if loaded.batcher.closed:  # it was unloaded meanwhile
                await engine.stop()
                return
            loaded.batcher.replace(engine)

    async def _retire(self, loaded: Loaded) -> None:
        deadline = self._clock() + self.limits.seconds
        while not loaded.batcher.idle and self._clock() < deadline:
            await asyncio.sleep(0.05)
        loaded.batcher.close()
        await loaded.batcher.engine.stop()
        log.info("version %d is unloaded", loaded.version)


@dataclass(frozen=True)
class Failure:
    """A failed load.

    Attributes:
        message: The error.
        wait: Seconds until the retry.
        retry_at: Time of the retry.
    """

    message: str
    wait: float
    retry_at: float

    @classmethod
    def after(cls, before: "Failure | None", message: str, now: float) -> "Failure":
        """Creates the next failure, whose wait is twice that of the one before."""
        wait = min(2 * before.wait, LONGEST_WAIT) if before else FIRST_WAIT
        return cls(message, wait, now + wait)


def _message(error: Exception) -> str:
    """A user's error as it is, and the type of any other."""
    return str(error) if isinstance(error, (UserError, OSError)) else f"{type(error).__name__}: {error}"


async def _probe(batcher: Batcher) -> None:
    try:
        await batcher.ask(["."])
    except BaseException:  # also the time limit: the probe that hangs is no sign of work
        batcher.failed = True
        raise
