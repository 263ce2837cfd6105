"""The server's side of a worker: starts it, sends it batches, and detects its end."""

import asyncio
import itertools
import json
import logging
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqline.cores import usable_cores
from seqline.errors import UserError
from seqline.serving import worker_processes
from seqline.serving.answers import LENGTH, Answer, Parameters, frame
from seqline.serving.limits import Limits
from seqline.serving.partial_answers import PartialAnswers

log = logging.getLogger(__name__)

# Time for a worker to end after its socket is closed.
END_SECONDS = 5.0


class EngineGoneError(Exception):
    """The worker's process ended; another worker may answer the request."""


class ModelFailedError(Exception):
    """The model raised an error for a batch."""


@dataclass(frozen=True)
class Device:
    """How a worker shares the machine's cores.

    Attributes:
        concurrency: Number of batches that run concurrently.
        threads: Threads of one operation.
    """

    concurrency: int
    threads: int

    @classmethod
    def here(cls) -> "Device":
        """Two concurrent batches: one runs Python and the tokenizer while the other computes matrix products."""
        cores = usable_cores()
        concurrency = min(2, cores)
        return cls(concurrency, max(1, cores // concurrency))


class Engine:
    """A version's running worker, created by `start`.

    Attributes:
        metadata: See `seqline.serving.metadata`.
        tensorflow: The worker's version of TensorFlow.
        lost: Whether the worker has ended and takes no more requests.
        gone: Done once the process has ended.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", ready: dict[str, Any], limits: Limits, *streams: Any
    ) -> None:
        self.metadata: dict[str, Any] = ready["metadata"]
        self.tensorflow: str = ready["tensorflow"]
        self._process = process
        self._reader, self._writer = streams
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._streams: dict[int, PartialAnswers[list[Answer]]] = {}
        self._limits = limits
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self.lost = False
        self.gone: asyncio.Task[None] = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, model: Path, device: Device, limits: Limits) -> "Engine":
        """Starts a worker; returns once its model has answered a warm-up batch.

        Args:
            model: The exported model's folder.
            device: Its share of the machine.
            limits: Time limits of the worker.

        Raises:
            UserError: If the model does not load or does not respond in time.
        """
        process, ours = worker_processes.take()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            writer.write(frame({"load": str(model), **asdict(device)}))
            ready = await _ready(process, reader, model, limits.load_seconds)
            return cls(process, ready, limits, reader, writer)
        except BaseException:  # also cancelled: the server is shutting down
            writer.close()
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._process.pid

    async def predict(self, texts: list[str], parameters: Parameters) -> tuple[list[Answer], float]:
        """Answers a batch.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.

        Returns:
            An answer for each text, in order, and the seconds that the model took.

        Raises:
            ModelFailedError: If the model raised an error.
            EngineGoneError: If the process ended.
        """
        if self.lost:
            raise EngineGoneError
        number = next(self._numbers)
        pending = self._pending[number] = asyncio.get_running_loop().create_future()
        self._expect(number)
        self._writer.write(frame({"id": number, "texts": texts, "parameters": dict(parameters)}))
        reply = await pending
        if "error" in reply:
            raise ModelFailedError(reply["error"])
        return [Answer.unpacked(answer) for answer in reply["answers"]], reply["seconds"]

    async def stream(self, texts: list[str], parameters: Parameters) -> AsyncGenerator[list[Answer], None]:
        """Answers texts token by token.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.

        Yields:
            The answer so far for each text.

        Raises:
            ModelFailedError: If the model raised an error.
            EngineGoneError: If the process ended.
        """
        if self.lost:
            raise EngineGoneError
        number = next(self._numbers)
        replies = self._streams[number] = PartialAnswers()
        self._expect(number)
        self._writer.write(frame({"id": number, "texts": texts, "parameters": dict(parameters), "stream": True}))
        try:
            async for answers in replies:
                yield answers
        finally:
            del self._streams[number]
            if not self.lost:
                self._writer.write(frame({"id": number, "cancel": True}))

    async def stop(self) -> None:
        """Stops the worker, which must be idle."""
        self._writer.close()
        await self.gone

    async def _listen(self) -> None:
        try:
            while True:
                self._receive(await _read(self._reader))
        except EngineGoneError:
            pass
        except Exception:
            log.exception("a message of the worker cannot be read; killing it")
            self._process.kill()
        finally:
            # Before waiting for the process: requests that arrive meanwhile would never be answered.
            self.lost = True
            for timer in self._timers.values():
                timer.cancel()
            for pending in self._pending.values():
                if not pending.done():
                    pending.set_exception(EngineGoneError())
            self._pending.clear()
            for replies in self._streams.values():
                replies.end(EngineGoneError())
            self._writer.close()
            await _end(self._process)

    def _receive(self, reply: dict[str, Any]) -> None:
        number = reply["id"]
        timer = self._timers.pop(number, None)
        if timer:
            timer.cancel()
        pending = self._pending.pop(number, None)
        if pending:
            if not pending.done():
                pending.set_result(reply)
            return
        # A stream; it has ended for the server, but not for the worker, if the client has stopped reading.
        replies = self._streams.get(number)
        if "ended" not in reply and "error" not in reply:
            self._expect(number)
            if replies:
                replies.put([Answer.unpacked(answer) for answer in reply["answers"]])
        elif replies:
            replies.end(ModelFailedError(reply["error"]) if "error" in reply else None)

    def _expect(self, number: int) -> None:
        """Kills the worker if its next message about a request does not arrive in time."""
        seconds = self._limits.worker_seconds
        self._timers[number] = asyncio.get_running_loop().call_later(seconds, self._kill)

    def _kill(self) -> None:
        log.error("the worker did not respond within %g s; killing it", self._limits.worker_seconds)
        self._process.kill()


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        prefix = await reader.readexactly(LENGTH.size)
        return dict(json.loads(await reader.readexactly(LENGTH.unpack(prefix)[0])))
    except (asyncio.IncompleteReadError, ConnectionError):
        raise EngineGoneError from None


async def _ready(
    process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, model: Path, seconds: float
) -> dict[str, Any]:
    try:
        first = await asyncio.wait_for(_read(reader), seconds)
    except EngineGoneError:
        raise UserError(f"the worker ended with {await _end(process)} while it loaded {model}") from None
    except asyncio.TimeoutError:
        raise UserError(f"the worker did not load {model} within {seconds:g} s") from None
    if "failed" in first:
        raise UserError(str(first["failed"]))
    return dict(first["ready"])


async def _end(process: "subprocess.Popen[bytes]") -> str:
    """Waits until a worker without a socket has ended, and kills one that hangs."""

    def end() -> int:
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    code = await asyncio.get_running_loop().run_in_executor(None, end)
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
