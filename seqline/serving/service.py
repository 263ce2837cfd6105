"""What HTTP and gRPC have in common: checks a request, has it answered in time, counts and logs it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from seqline.serving.answers import Answer, Parameters
from seqline.serving.batching import BusyError
from seqline.serving.decoding import check
from seqline.serving.engine import EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.versions import Loaded, Versions

log = logging.getLogger("seqline.serving.requests")


@dataclass(frozen=True)
class Answered:
    """A request's answers.

    Attributes:
        version: The version that answered.
        answers: One for each text, in their order.
        seconds: From the request's check to the last answer.
    """

    version: int
    answers: list[Answer]
    seconds: float


class Service:
    """Answers requests for a model.

    Args:
        name: The model's name in addresses.
        versions: The loaded versions.
        limits: What is refused.
        metrics: What is counted.
        log_texts: Whether texts go into the log; they may be confidential.
    """

    def __init__(
        self, name: str, versions: Versions, limits: Limits, metrics: Metrics, log_texts: bool = False
    ) -> None:
        self.name, self.versions, self.limits, self.metrics = name, versions, limits, metrics
        self.log_texts = log_texts

    async def answer(
        self,
        texts: list[str],
        parameters: Parameters = (),
        version: int | None = None,
        alias: str | None = None,
        interface: str = "http",
        request_id: str = "",
    ) -> Answered:
        """Answers a request.

        Args:
            texts: The inputs.
            parameters: How to decode.
            version: Which version, by number; by the traffic split without it.
            alias: Which version, by name.
            interface: How the request came, for counts and logs.
            request_id: What the client calls the request, for the log.

        Raises:
            RequestError: If it is not answered.
        """
        started = time.perf_counter()
        chosen = None
        try:
            self.check(texts)
            chosen = self.choose(version, alias)
            check(parameters, chosen.batcher.engine.metadata, self.limits)
            answers = await self._ask(chosen, texts, parameters)
        except RequestError as refusal:
            self._note(interface, refusal.cause.name.lower(), started, texts, chosen, request_id, str(refusal))
            raise
        except asyncio.CancelledError:
            self._note(interface, "gone", started, texts, chosen, request_id, "the client is gone")
            raise
        seconds = self._note(interface, "ok", started, texts, chosen, request_id)
        return Answered(chosen.version, answers, seconds)

    async def stream(
        self,
        texts: list[str],
        parameters: Parameters = (),
        version: int | None = None,
        alias: str | None = None,
        request_id: str = "",
    ) -> AsyncGenerator[Answered, None]:
        """Answers a request piece by piece.

        Args:
            texts: The inputs.
            parameters: How to decode.
            version: Which version, by number; by the traffic split without it.
            alias: Which version, by name.
            request_id: What the client calls the request, for the log.

        Yields:
            The answers so far.

        Raises:
            RequestError: If it is not answered, or not to its end.
        """
        started = time.perf_counter()
        chosen = None
        try:
            self.check(texts)
            chosen = self.choose(version, alias)
            check(parameters, chosen.batcher.engine.metadata, self.limits, streaming=True)
            async with contextlib.aclosing(chosen.batcher.stream(texts, parameters)) as stream:
                while True:
                    left = self.limits.seconds - (time.perf_counter() - started)
                    with _refusing(self.limits):
                        answers = await asyncio.wait_for(anext(stream, None), left)
                    if answers is None:
                        break
                    yield Answered(chosen.version, answers, time.perf_counter() - started)
        except RequestError as refusal:
            self._note("stream", refusal.cause.name.lower(), started, texts, chosen, request_id, str(refusal))
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._note("stream", "gone", started, texts, chosen, request_id, "the client is gone")
            raise
        self._note("stream", "ok", started, texts, chosen, request_id)

    def known(self, name: str) -> None:
        """Checks a model's name.

        Args:
            name: As the request says it.

        Raises:
            RequestError: If it is another's.
        """
        if name != self.name:
            raise RequestError(Cause.UNKNOWN, f"there is no model {name!r} here; there is {self.name!r}")

    def choose(self, version: int | None = None, alias: str | None = None) -> Loaded:
        """Finds the version that is to answer.

        Args:
            version: By number.
            alias: By name.

        Raises:
            RequestError: If it is not loaded.
        """
        chosen = self.versions.choose(version, alias)
        if chosen:
            return chosen
        if version is None and alias is None:
            raise RequestError(Cause.NOT_READY, "no version is loaded yet", 5)
        wanted = f"version {version}" if alias is None else f"label {alias!r}"
        loaded = ", ".join(str(loaded.version) for loaded in self.versions.loaded) or "none"
        raise RequestError(Cause.UNKNOWN, f"model {self.name} has no {wanted}; loaded versions: {loaded}")

    def check(self, texts: list[str]) -> None:
        """Holds texts against the limits.

        Args:
            texts: The inputs.

        Raises:
            RequestError: If there are too many, or one is too long.
        """
        if len(texts) > self.limits.texts:
            raise RequestError(
                Cause.TOO_LARGE, f"{len(texts)} texts in one request; at most {self.limits.texts} are taken"
            )
        for index, text in enumerate(texts):
            if len(text) > self.limits.text_characters:
                raise RequestError(
                    Cause.TOO_LARGE,
                    f"text {index} has {len(text)} characters; at most {self.limits.text_characters} are taken",
                )

    async def _ask(self, chosen: Loaded, texts: list[str], parameters: Parameters) -> list[Answer]:
        with _refusing(self.limits):
            return await asyncio.wait_for(chosen.batcher.ask(texts, parameters), self.limits.seconds)

    def _note(
        self,
        interface: str,
        result: str,
        started: float,
        texts: list[str],
        chosen: Loaded | None,
        request_id: str,
        message: str = "",
    ) -> float:
        seconds = time.perf_counter() - started
        version = str(chosen.version) if chosen else ""
        self.metrics.requests.labels(interface, version, result).inc()
        if result == "ok":
            self.metrics.texts.labels(version).inc(len(texts))
            self.metrics.seconds.labels(version).observe(seconds)
        fields = {
            "interface": interface,
            "result": result,
            "version": version,
            "texts": len(texts),
            "characters": sum(map(len, texts)),
            "milliseconds": round(1000 * seconds, 2),
        }
        if request_id:
            fields["request_id"] = request_id
        if self.log_texts:
            fields["inputs"] = texts
        log.info(message or "answered", extra={"fields": fields})
        return seconds


@contextlib.contextmanager
def _refusing(limits: Limits) -> Iterator[None]:
    """Says what went wrong as clients understand it."""
    try:
        yield
    except BusyError as error:
        raise RequestError(Cause.BUSY, str(error), error.retry_after) from None
    except asyncio.TimeoutError:
        raise RequestError(Cause.TOO_SLOW, f"not answered within {limits.seconds:g} s") from None
    except ModelFailedError as error:
        raise RequestError(Cause.FAILED, f"the model failed: {error}") from None
    except EngineGoneError:
        raise RequestError(Cause.NOT_READY, "the model's process ended; it is started again", 5) from None
