"""Shared by HTTP and gRPC: checks requests, answers them within the time limit, records metrics and logs."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field

from seqline.errors import UserError
from seqline.serving.answer_ids import Ids
from seqline.serving.answers import Answer, Parameters
from seqline.serving.batching import BusyError
from seqline.serving.blank_texts import Asked
from seqline.serving.decoding import check
from seqline.serving.engine import EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.partial_answers import PartialAnswers
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.sampler import Sampler
from seqline.serving.samplers import Samplers
from seqline.serving.tracking import tracked
from seqline.serving.versions import NOTHING, Loaded, Versions

log = logging.getLogger("seqline.serving.requests")

NAMES = {"http": "predict"}
"""What samples call an interface otherwise than metrics and logs do."""


@dataclass(frozen=True)
class Answered:
    """A request's answers.

    Attributes:
        version: The version that answered.
        answers: One for each text, in order.
        seconds: Time from the start of the request to the last answer.
        ids: The ids of the answers that are sampled.
    """

    version: int
    answers: list[Answer]
    seconds: float
    ids: Ids = field(default_factory=Ids)


class Service:
    """Answers requests for a model.

    Args:
        name: The model's name in URLs.
        versions: The loaded versions.
        limits: Limits of requests.
        metrics: The server's metrics.
        log_texts: Whether to log texts, which may be confidential.
    """

    def __init__(
        self, name: str, versions: Versions, limits: Limits, metrics: Metrics, log_texts: bool = False
    ) -> None:
        self.name, self.versions, self.limits, self.metrics = name, versions, limits, metrics
        self.log_texts = log_texts
        self._samplers = Samplers(versions.source.model, metrics)

    @property
    def sampler(self) -> Sampler | None:
        """Samples the answers; None where nothing is sampled.

        Raises:
            RequestError: If the first version is still loading.
        """
        if self.versions.applied is NOTHING:
            raise RequestError(Cause.NOT_READY, "no version is loaded yet", 5)
        return self._samplers.of(self.versions.applied.sampling)

    def start(self) -> None:
        """Starts to sample, before there is an answer."""
        with contextlib.suppress(UserError):  # the versions report it
            self._samplers.start(self.versions.source.desired().sampling)

    def close(self) -> None:
        """Writes the samples that are left."""
        self._samplers.close()

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
            parameters: Decoding parameters.
            version: Number of the version; None for the traffic split.
            alias: Alias of the version.
            interface: Interface of the request, for metrics and logs.
            request_id: The client's id of the request, for the log.

        Raises:
            RequestError: If the request fails.
        """
        started = time.perf_counter()
        chosen = None
        try:
            self.check(texts)
            chosen = self.choose(version, alias)
            check(parameters, chosen.batcher.engine.metadata, self.limits)
            answers = await self._predict(chosen, texts, parameters)
        except RequestError as error:
            self._record(interface, error.cause.name.lower(), started, texts, chosen, request_id, str(error))
            raise
        except asyncio.CancelledError:
            self._record(interface, "gone", started, texts, chosen, request_id, "the client disconnected")
            raise
        seconds = self._record(interface, "ok", started, texts, chosen, request_id)
        sampler = self.sampler
        if sampler is None:
            return Answered(chosen.version, answers, seconds)
        ids = _begun(sampler, len(texts))
        sampler.take(ids, chosen.version, NAMES.get(interface, interface), seconds, texts, answers, tracked().label)
        return Answered(chosen.version, answers, seconds, ids)

    async def stream(
        self,
        texts: list[str],
        parameters: Parameters = (),
        version: int | None = None,
        alias: str | None = None,
        request_id: str = "",
        over: Callable[[list[Answer]], bool] = lambda answers: False,
    ) -> AsyncGenerator[Answered, None]:
        """Answers a request token by token.

        Args:
            texts: The inputs.
            parameters: Decoding parameters.
            version: Number of the version; None for the traffic split.
            alias: Alias of the version.
            request_id: The client's id of the request, for the log.
            over: Whether the stream ends with these answers, such as at a stop sequence.

        Yields:
            The answers so far.

        Raises:
            RequestError: If the request fails before or during the stream.
        """
        started = time.perf_counter()
        chosen = None
        try:
            self.check(texts)
            chosen = self.choose(version, alias)
            check(parameters, chosen.batcher.engine.metadata, self.limits, streaming=True)
            self.limits.check_stream(len(texts))
            # The model does not wait for the reader: one that stalls occupies none of the streams.
            found: PartialAnswers[list[Answer]] = PartialAnswers()
            reading = asyncio.create_task(self._read_stream(chosen, texts, parameters, found))
            sampler, answers = self.sampler, []
            ids = _begun(sampler, len(texts)) if sampler else Ids()
            try:
                async for answers in found:
                    yield Answered(chosen.version, answers, time.perf_counter() - started, ids)
                    if over(answers):
                        break
            finally:
                reading.cancel()
                await asyncio.wait([reading])
        except RequestError as error:
            self._record("stream", error.cause.name.lower(), started, texts, chosen, request_id, str(error))
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._record("stream", "gone", started, texts, chosen, request_id, "the client disconnected")
            raise
        seconds = self._record("stream", "ok", started, texts, chosen, request_id)
        if sampler and answers:
            sampler.take(ids, chosen.version, "stream", seconds, texts, answers, tracked().label)

    @contextlib.contextmanager
    def recording(self, request_id: str) -> Iterator[None]:
        """Records an error of a request's body, and raises it.

        Args:
            request_id: The client's id of the request, for the log.
        """
        started = time.perf_counter()
        try:
            yield
        except RequestError as error:
            # Without the message, which has names of fields that are the client's.
            result = error.cause.name.lower()
            self._record("http", result, started, [], None, request_id, "the body was rejected")
            raise

    def check_name(self, name: str) -> None:
        """Checks a model's name.

        Args:
            name: The name in the request.

        Raises:
            RequestError: If the server has another model.
        """
        if name != self.name:
            raise RequestError(Cause.UNKNOWN, f"there is no model {name!r}; this server has {self.name!r}")

    def choose(self, version: int | None = None, alias: str | None = None) -> Loaded:
        """Chooses the version that answers.

        Args:
            version: Its number.
            alias: Its alias.

        Raises:
            RequestError: If it is not loaded.
        """
        chosen = self.versions.choose(version, alias)
        if chosen:
            return chosen
        if version is None and alias is None:
            raise RequestError(Cause.NOT_READY, "no version is loaded yet", 5)
        requested = f"version {version}" if alias is None else f"label {alias!r}"
        loaded = ", ".join(str(loaded.version) for loaded in self.versions.loaded) or "none"
        raise RequestError(Cause.UNKNOWN, f"model {self.name} has no {requested}; loaded versions: {loaded}")

    def check(self, texts: list[str]) -> None:
        """Checks texts against the limits.

        Args:
            texts: The inputs.

        Raises:
            RequestError: If there are too many, or one is too long.
        """
        self.limits.check_count(len(texts))
        total = 0
        for index, text in enumerate(texts):
            self.limits.check_length(index, len(text))
            total += len(text)
            self.limits.check_total(total)

    async def _predict(self, chosen: Loaded, texts: list[str], parameters: Parameters) -> list[Answer]:
        asked = Asked(texts, parameters, chosen.batcher.engine.metadata)
        if not asked.texts:
            return asked.completed(())
        self.limits.check_queue(len(asked.texts))
        with _request_errors(self.limits):
            return asked.completed(
                await asyncio.wait_for(chosen.batcher.ask(asked.texts, parameters), self.limits.seconds)
            )

    async def _read_stream(
        self, chosen: Loaded, texts: list[str], parameters: Parameters, found: "PartialAnswers[list[Answer]]"
    ) -> None:
        asked = Asked(texts, parameters, chosen.batcher.engine.metadata)

        async def read() -> None:
            if texts and not asked.texts:
                found.put(asked.completed(()))
                return
            async with contextlib.aclosing(chosen.batcher.stream(asked.texts, parameters)) as stream:
                async for answers in stream:
                    found.put(asked.completed(answers))

        try:
            with _request_errors(self.limits):
                await asyncio.wait_for(read(), self.limits.seconds)
        except Exception as error:
            found.end(error)
        finally:
            found.end()

    def _record(
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


def _begun(sampler: Sampler, texts: int) -> Ids:
    ids = Ids.draw(texts, sampler.settings.share)
    tracked().answer_id = ids.request
    return ids


@contextlib.contextmanager
def _request_errors(limits: Limits) -> Iterator[None]:
    """Converts errors of batching and the model into `RequestError`."""
    try:
        yield
    except BusyError as error:
        raise RequestError(Cause.BUSY, str(error), error.retry_after) from None
    except asyncio.TimeoutError:
        raise RequestError(Cause.TOO_SLOW, f"not answered within {limits.seconds:g} s") from None
    except ModelFailedError as error:
        raise RequestError(Cause.FAILED, f"the model failed: {error}") from None
    except EngineGoneError:
        raise RequestError(Cause.NOT_READY, "the model's process ended; it is being restarted", 5) from None
