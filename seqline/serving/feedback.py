"""`POST /v1/feedback`: what somebody says of an answer that was sampled."""

import asyncio
import math
import re
import time
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from seqline.inputs.lines import is_blank
from seqline.sampling.received_feedback import ReceivedFeedback
from seqline.serving.contract import Problem
from seqline.serving.json_reader import LONGEST_NAME, JsonReader, invalid
from seqline.serving.limits import Limits
from seqline.serving.openapi import documented
from seqline.serving.receiving import GONE, Read
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.sampler import Sampler
from seqline.serving.service import Service

ID = re.compile(r"(?:(?:chat)?cmpl-)?([0-9a-f]{32}(?:-[1-9][0-9]{0,4})?)")
"""An answer's id, also as the interface of completions has it."""


class FeedbackBody(BaseModel):
    """Feedback on an answer: a rating, a correction, or both. A field that is null is absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(
        pattern=f"^{ID.pattern}$",
        description="The answer's id: the field id of a prediction, the header X-Answer-Id, or the id of a completion.",
    )
    rating: float | None = Field(default=None, ge=-1, le=1, description="From -1, bad, to 1, good.")
    correction: str | None = Field(default=None, description="A better output.")
    comment: str | None = Field(default=None, description="Anything else.")
    source: str | None = Field(default=None, description="The text, for a server that does not store texts.")
    output: str | None = Field(default=None, description="The output, for a server that does not store texts.")


class FeedbackTaken(BaseModel):
    """The server accepted the feedback."""

    id: str
    version: str = Field(description="The version that gave the answer.")


@dataclass(frozen=True)
class Given:
    """The content of a body; texts that are absent are None."""

    id: str
    rating: float | None = None
    correction: str | None = None
    comment: str | None = None
    source: str | None = None
    output: str | None = None


TAKEN = documented(
    FeedbackBody,
    Problem,
    {
        "description": "The server accepted the feedback.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FeedbackTaken"}}},
    },
)


def routes(service: Service, read: Read) -> APIRouter:
    """Returns the route.

    Args:
        service: The server.
        read: Reads a request's body.
    """
    router = APIRouter()

    @router.post("/v1/feedback", **TAKEN)
    async def feedback(request: Request) -> Response:
        """Takes a rating or a correction of an answer that was sampled; see docs/monitoring.md."""
        sampler = service.sampler
        if sampler is None:
            raise RequestError(
                Cause.UNKNOWN,
                "this server does not sample answers, so it accepts no feedback; set serving.sample_requests",
            )
        found = await read(request, parse_feedback)
        if found is None:
            return Response(status_code=GONE)
        version = await take(service, sampler, found[0])
        return JSONResponse({"id": found[0].id, "version": version})

    return router


async def take(service: Service, sampler: Sampler, given: Given) -> str:
    """Stores feedback.

    Args:
        service: The server.
        sampler: Its sampler.
        given: The feedback.

    Returns:
        The version that gave the answer.

    Raises:
        RequestError: If the answer is not known, there was too much feedback on it, or the queue has no room.
    """
    known = sampler.recent.find(given.id)
    if known is None:
        # Another server's answer, or one of before this server started, is in a file.
        if not sampler.may_look():
            raise RequestError(Cause.BUSY, f"id: answer {given.id} cannot be looked up now; try again in 1 s", 1)
        known = await asyncio.get_running_loop().run_in_executor(None, sampler.look, given.id)
        if known:
            sampler.recent.add(given.id, known)
    if known is None:
        raise RequestError(
            Cause.UNKNOWN,
            f"id: there is no sampled answer {given.id}: it was not sampled, is too old, or is in a file of another "
            "server that is not written yet",
        )
    if not sampler.recent.count_feedback(given.id):
        raise RequestError(
            Cause.BUSY, f"id: there is already too much feedback on answer {given.id}; it is not stored", 3600
        )
    received = ReceivedFeedback(
        given.id, time.time(), known.version, given.rating, given.correction, given.source, given.output, given.comment
    )
    if not sampler.take_feedback(received):
        raise RequestError(Cause.BUSY, "too much feedback is waiting; try again in 1 s", 1)
    if given.rating is not None:
        service.metrics.rating.labels(known.version).observe(given.rating)
    if given.correction is not None:
        service.metrics.corrections.labels(known.version).inc()
    return known.version


def parse_feedback(content: bytes | bytearray, limits: Limits) -> Given:
    """Reads a body.

    Args:
        content: JSON.
        limits: The server's limits; no text is longer than that of a request.

    Raises:
        RequestError: If it is not JSON, has another structure or exceeds a limit; the message names the field.
    """
    return _Parser(content, limits).body()


class _Parser(JsonReader):
    def body(self) -> Given:
        fields = self._fields(FeedbackBody.model_fields)
        if "id" not in fields:
            raise invalid("id", "Field required")
        if not fields.keys() & {"rating", "correction"}:
            raise invalid("body", "set rating, correction or both")
        if is_blank(fields.get("correction", "-")):
            raise invalid("correction", "is blank; write the better output, or omit it")
        return Given(**fields)

    def _id(self) -> str:
        found = ID.fullmatch(self._string("id", LONGEST_NAME))
        if not found:
            raise invalid(
                "id", "is not the ID of an answer; send the field id of a prediction, or the header X-Answer-Id"
            )
        return found[1]

    def _rating(self) -> float:
        value = self._scalar("rating")
        if isinstance(value, bool) or not math.isfinite(value) or not -1 <= value <= 1:
            raise invalid("rating", "must be a number from -1 to 1")
        return float(value)

    def _correction(self) -> str:
        return self._text("correction")

    def _comment(self) -> str:
        return self._text("comment")

    def _source(self) -> str:
        return self._text("source")

    def _output(self) -> str:
        return self._text("output")

    def _text(self, name: str) -> str:
        text = self._string(name, self._longest)
        longest = self._limits.text_characters
        if len(text) > longest:
            raise RequestError(Cause.TOO_LARGE, f"{name}: has {len(text)} characters; the limit is {longest}")
        return text
