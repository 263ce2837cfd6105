"""The routes of completions and chats."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from seqline.serving.completions.completing import Completion
from seqline.serving.completions.models import listing
from seqline.serving.completions.requests import CompletionRequest, parse_chat, parse_completion
from seqline.serving.completions.schema import ChatBody, CompletionBody, CompletionResponse, ErrorBody
from seqline.serving.openapi import documented
from seqline.serving.receiving import GONE, Read, Wait
from seqline.serving.service import Service

ROUTES = ("/v1/completions", "/v1/chat/completions")
"""Whose errors have OpenAI's form."""
RESPONSE: dict[str, Any] = {"model": CompletionResponse}
STREAMED = "With stream."


def routes(service: Service, read: Read, wait: Wait) -> APIRouter:
    """Returns the routes.

    Args:
        service: The server.
        read: Reads a request's body.
        wait: Awaits an answer.
    """
    router = APIRouter()

    async def answer(request: Request, parse: Callable[..., CompletionRequest]) -> Response:
        found = await read(request, parse)
        if found is None:
            return Response(status_code=GONE)
        asked, request_id = found
        with service.recording(request_id):
            completion = Completion(service, asked, request_id)
        headers = {"X-Model-Version": str(completion.version)}
        if asked.options.stream:
            events = await completion.start()
            return StreamingResponse(
                events, headers={**headers, "Cache-Control": "no-store"}, media_type="text/event-stream"
            )
        body = await wait(request, completion.whole())
        return Response(status_code=GONE) if body is None else JSONResponse(body, headers=headers)

    @router.post(ROUTES[0], **documented(CompletionBody, ErrorBody, RESPONSE, STREAMED))
    async def complete(request: Request) -> Response:
        """Continues or answers prompts, as OpenAI's completions do."""
        return await answer(request, parse_completion)

    @router.post(ROUTES[1], **documented(ChatBody, ErrorBody, RESPONSE, STREAMED))
    async def chat(request: Request) -> Response:
        """Answers a chat, as OpenAI's chat completions do."""
        return await answer(request, parse_chat)

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """Lists the models: the endpoint, its versions and its aliases."""
        return listing(service)

    return router
