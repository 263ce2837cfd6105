"""The server's side of a worker: starts it, sends it batches, and detects its end."""

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.serving.answers import LENGTH, Answer, Parameters, frame


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
        cores = len(os.sched_getaffinity(0))
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

    def __init__(self, process: "subprocess.Popen[bytes]", ready: dict[str, Any], *streams: Any) -> None:
        self.metadata: dict[str, Any] = ready["metadata"]
        self.tensorflow: str = ready["tensorflow"]
        self._process = process
        self._reader, self._writer = streams
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._streams: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self.lost = False
        self.gone: asyncio.Task[None] = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, model: Path, device: Device) -> "Engine":
        """Starts a worker; returns once its model has answered a warm-up batch.

        Args:
            model: The exported model's folder.
            device: Its share of the machine.

        Raises:
            UserError: If the model does not load or does not answer.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "seqline.serving.worker", "--model", str(model)]
            command += ["--socket", str(theirs.fileno())]
            command += ["--concurrency", str(device.concurrency), "--threads", str(device.threads)]
            environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "PYTHONSAFEPATH": "1"}
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=environment)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            first = await _read(reader)
        except EngineGoneError:
            raise UserError(f"the worker ended with {await _wait(process)} while it loaded {model}") from None
        except BaseException:  # cancelled: the server is shutting down
            process.kill()
            process.wait()
            raise
        if "failed" in first:
            writer.close()
            await _wait(process)
            raise UserError(str(first["failed"]))
        return cls(process, first["ready"], reader, writer)

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
        replies = self._streams[number] = asyncio.Queue()
        self._writer.write(frame({"id": number, "texts": texts, "parameters": dict(parameters), "stream": True}))
        try:
            while True:
                reply = await replies.get()
                if reply is None:
                    raise EngineGoneError
                if "error" in reply:
                    raise ModelFailedError(reply["error"])
                if "ended" in reply:
                    return
                yield [Answer.unpacked(answer) for answer in reply["answers"]]
        finally:
            del self._streams[number]
            if not self.lost:
                self._writer.write(frame({"id": number, "cancel": True}))

    async def stop(self) -> None:
        """Stops the worker, which must be idle."""
        self._writer.close()
        try:
            await asyncio.wait_for(asyncio.shield(self.gone), 5)
        except asyncio.TimeoutError:
            self._process.kill()
            await self.gone

    async def _listen(self) -> None:
        try:
            while True:
                reply = await _read(self._reader)
                if reply["id"] in self._streams:
                    self._streams[reply["id"]].put_nowait(reply)
                    continue
                pending = self._pending.pop(reply["id"], None)
                if pending and not pending.done():
                    pending.set_result(reply)
        except EngineGoneError:
            pass
        finally:
            # Before waiting for the process: requests that arrive meanwhile would never be answered.
            self.lost = True
            for pending in self._pending.values():
                if not pending.done():
                    pending.set_exception(EngineGoneError())
            self._pending.clear()
            for replies in self._streams.values():
                replies.put_nowait(None)
            await _wait(self._process)


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        prefix = await reader.readexactly(LENGTH.size)
        return dict(json.loads(await reader.readexactly(LENGTH.unpack(prefix)[0])))
    except (asyncio.IncompleteReadError, ConnectionError):
        raise EngineGoneError from None


async def _wait(process: "subprocess.Popen[bytes]") -> str:
    code = await asyncio.get_running_loop().run_in_executor(None, process.wait)
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
