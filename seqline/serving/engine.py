"""The server's side of a worker: starts it, hands it batches, notices when it is gone."""

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
    """The worker's process ended; what it was asked may be asked another."""


class ModelFailedError(Exception):
    """The model raised an error for a batch."""


@dataclass(frozen=True)
class Device:
    """How a worker shares the machine's cores.

    Attributes:
        concurrency: Batches that are answered at once.
        threads: Threads of one operation.
    """

    concurrency: int
    threads: int

    @classmethod
    def here(cls) -> "Device":
        """Two batches side by side: one's Python and tokenizer run while the other's matrices do."""
        cores = len(os.sched_getaffinity(0))
        concurrency = min(2, cores)
        return cls(concurrency, max(1, cores // concurrency))


class Engine:
    """A version's running worker. Made by `start`.

    Attributes:
        metadata: See `seqline.serving.metadata`.
        tensorflow: The version of TensorFlow that answers.
        lost: Whether it can be asked no more.
        gone: Is done once the process has ended.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", ready: dict[str, Any], *streams: Any) -> None:
        self.metadata: dict[str, Any] = ready["metadata"]
        self.tensorflow: str = ready["tensorflow"]
        self._process = process
        self._reader, self._writer = streams
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._streams: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self.lost = False
        self.gone: asyncio.Task[None] = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, model: Path, device: Device) -> "Engine":
        """Starts a worker; returns when its model has answered.

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
            environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=environment)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            first = await _read(reader)
        except EngineGoneError:
            raise UserError(f"its process ended with {await _wait(process)} while it loaded {model}") from None
        except BaseException:  # cancelled: the server stops
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
            parameters: How to decode.

        Returns:
            An answer for each, in their order, and the seconds that the model took.

        Raises:
            ModelFailedError: If the model raised an error.
            EngineGoneError: If the process ended.
        """
        if self.lost:
            raise EngineGoneError
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(frame({"id": number, "texts": texts, "parameters": dict(parameters)}))
        reply = await waiting
        if "error" in reply:
            raise ModelFailedError(reply["error"])
        return [Answer.unpacked(answer) for answer in reply["answers"]], reply["seconds"]

    async def stream(self, texts: list[str], parameters: Parameters) -> AsyncGenerator[list[Answer], None]:
        """Answers texts piece by piece.

        Args:
            texts: The inputs.
            parameters: How to decode.

        Yields:
            An answer for each so far.

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
        """Ends the worker; it is to have nothing to do any more."""
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
                waiting = self._waiting.pop(reply["id"], None)
                if waiting and not waiting.done():
                    waiting.set_result(reply)
        except EngineGoneError:
            pass
        finally:
            # At once: whatever came in while the process is waited for would never be answered.
            self.lost = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(EngineGoneError())
            self._waiting.clear()
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
