"""Answers requests for completions and chats: whole, or as the events of a stream."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

from seqline.serving.answers import Answer, Counts, Parameters
from seqline.serving.completions.answers import Choice, Response, event
from seqline.serving.completions.errors import error_body
from seqline.serving.completions.models import choose
from seqline.serving.completions.prompts import inputs
from seqline.serving.completions.requests import CompletionRequest
from seqline.serving.decoding import RENDERED, SIGNATURE, STREAMING, defaults
from seqline.serving.growing_text import GrowingText, ended_at
from seqline.serving.json_reader import invalid
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Answered, Service
from seqline.serving.versions import Loaded


class Completion:
    """A request, with the version that answers it.

    Args:
        service: The server.
        request: The request.
        request_id: The client's id of the request, for the log.

    Attributes:
        version: The version.

    Raises:
        RequestError: If there is no such model, or the request does not fit it.
    """

    def __init__(self, service: Service, request: CompletionRequest, request_id: str = "") -> None:
        self._service, self._request, self._id = service, request, request_id
        loaded = choose(service, request.model)
        self.version = loaded.version
        if request.choices > 1 and not request.sampling:
            raise invalid("n", "several choices need sampling; set a temperature above 0")
        if request.choices > 1 and request.options.stream:
            raise invalid("n", "a stream has one choice for each prompt; omit it")
        metadata = loaded.batcher.engine.metadata
        self._description: dict[str, Any] = metadata["description"]
        self._exported = defaults(self._description)
        longest = int(self._exported["max_output_length"])
        parameters = request.parameters(longest)
        if SIGNATURE not in metadata["json"] and parameters == (("max_output_length", longest),):
            parameters = ()  # a model of the user's own, with serving_default only
        self._texts, kind = inputs(request, metadata["description"])
        self._parameters: Parameters = tuple(sorted((*parameters, *kind)))
        self._response = Response(request, self.version)
        self._batcher = loaded.batcher
        self._ends_early = self._stoppable(loaded)

    def _stoppable(self, loaded: Loaded) -> bool:
        """Whether decoding can end at a stop sequence: a beam search is not over before its last token."""
        request, signatures = self._request, loaded.batcher.engine.metadata["json"]
        greedy = request.sampling or self._exported["beam_size"] == 1
        few = request.choices == 1 and len(self._texts) <= self._service.limits.stream_texts
        return bool(request.stop) and greedy and few and all(name in signatures for name in STREAMING)

    async def whole(self) -> dict[str, Any]:
        """Returns the body of the response.

        Raises:
            RequestError: If the request fails.
        """
        answers = await self._until_stopped() if self._ends_early and self._batcher.has_free_stream else None
        if answers is None:
            answers = await self._answered()
        self._check_whole(answers)
        choices = [choice for answer in answers for choice in _choices(answer, self._request.stop)]
        return self._response.body(choices, _counts(answers))

    async def start(self) -> AsyncIterator[bytes]:
        """Waits for the first output of the stream, and returns its events.

        Raises:
            RequestError: If the request fails before; later errors are events.
        """
        stream = self._stream()
        first = await anext(stream, None)
        if first is None:
            raise invalid("prompt", "there is no text to stream an answer for")
        try:
            self._check_whole(first.answers)
        except RequestError:
            await stream.aclose()
            raise
        self._answered_as(first)
        return self._events(first, stream)

    def _check_whole(self, answers: list[Answer]) -> None:
        """Refuses a chat that was truncated: without its end, the model does not know whose turn it is."""
        if (RENDERED, True) in self._parameters and any(answer.cut for answer in answers):
            limit = self._description["decoding"]["max_input_length"] - 1
            raise invalid(
                "messages", f"the chat has more tokens than the model takes, {limit}; omit the oldest messages"
            )

    async def _events(self, first: Answered, stream: AsyncGenerator[Answered, None]) -> AsyncIterator[bytes]:
        growing = [GrowingText(self._request.stop) for _ in first.answers]
        counts: list[Counts | None] = [None for _ in first.answers]
        response = self._response
        for index in range(len(growing)):
            if response.chat:
                yield response.chunk(index, "", first=True)
        async with contextlib.aclosing(stream):
            try:
                answered = first
                while True:
                    for index, (text, answer) in enumerate(zip(growing, answered.answers, strict=True)):
                        if text.stopped:
                            continue
                        counts[index] = answer.counts
                        new = text.added(answer.text)
                        if new:
                            yield response.chunk(index, new)
                        if text.stopped:
                            yield response.chunk(index, None, "stop")
                    following = await anext(stream, None)
                    if following is None:
                        break
                    answered = following
            except RequestError as error:
                yield event(error_body(error))
                return
        for index, (text, answer) in enumerate(zip(growing, answered.answers, strict=True)):
            if not text.stopped:
                # What was withheld; an output that changed after it was sent cannot be taken back.
                new = text.added(answer.text, last=True)
                if new:
                    yield response.chunk(index, new)
                yield response.chunk(index, None, _reason(answer.counts, 0))
        if self._request.include_usage:
            yield response.usage_chunk([each for each in counts if each])
        yield event("[DONE]")

    async def _answered(self) -> list[Answer]:
        interface = "chat" if self._response.chat else "completions"
        answer = self._service.answer(self._texts, self._parameters, self.version, None, interface, self._id)
        answered = await answer
        self._answered_as(answered)
        return answered.answers

    async def _until_stopped(self) -> list[Answer] | None:
        """The answers up to their stop sequences; None if other requests have just taken the last stream."""
        found: list[Answer] = []
        try:
            async with contextlib.aclosing(self._stream()) as stream:
                async for answered in stream:
                    self._answered_as(answered)
                    before, after = found or answered.answers, answered.answers
                    found = [one if self._ended(one) else now for one, now in zip(before, after, strict=True)]
        except RequestError as error:
            if error.cause is not Cause.BUSY:
                raise
            return None
        return found

    def _stream(self) -> AsyncGenerator[Answered, None]:
        return self._service.stream(
            self._texts, self._parameters, self.version, None, self._id, lambda answers: all(map(self._ended, answers))
        )

    def _ended(self, answer: Answer) -> bool:
        """Whether an answer has a stop sequence: what follows is not for the client."""
        return ended_at(answer.text, self._request.stop) >= 0

    def _answered_as(self, answered: Answered) -> None:
        """The response has the id of its answer, if it is sampled."""
        if answered.ids.request:
            self._response = replace(self._response, id=answered.ids.request)


def _choices(answer: Answer, stop: tuple[str, ...]) -> list[Choice]:
    texts = [answer.text, *(text for text, _ in answer.alternatives)]
    choices = []
    for index, text in enumerate(texts):
        end = ended_at(text, stop)
        choices.append(Choice(text, _reason(answer.counts, index)) if end < 0 else Choice(text[:end], "stop"))
    return choices


def _reason(counts: Counts | None, index: int) -> str:
    return "stop" if counts is None or counts.finished[index] else "length"


def _counts(answers: list[Answer]) -> list[Counts]:
    """The numbers of tokens; a blank text, which the model does not read, has none."""
    return [answer.counts for answer in answers if answer.counts]
