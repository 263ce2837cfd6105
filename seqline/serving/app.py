"""The HTTP interface: Vertex's contract, TensorFlow Serving's routes, health, metrics and a demo page."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from seqline.serving import feedback
from seqline.serving.body_encoding import check_encoding
from seqline.serving.completions.errors import error_body
from seqline.serving.completions.models import entry
from seqline.serving.completions.routes import ROUTES, routes
from seqline.serving.completions.schema import ChatBody, CompletionBody
from seqline.serving.contract import ColumnarResponse, PredictRequest, PredictResponse, Problem, response
from seqline.serving.events import events
from seqline.serving.feedback import FeedbackBody, FeedbackTaken
from seqline.serving.open_inference import routes as open_inference
from seqline.serving.open_inference.requests import InferenceBody
from seqline.serving.openapi import describe, documented, errors, reference
from seqline.serving.receiving import GONE
from seqline.serving.request_body import parse_body, read_body
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Service
from seqline.serving.tracking import ID, LABEL, track

PAGE = Path(__file__).with_name("page.html")
LONGEST_ID = 128  # of a request, in the log
T = TypeVar("T")
Number = Annotated[int, InPath(ge=1, le=2**31 - 1, description="The version.")]

ERRORS = errors(Problem)
PREDICT = documented(
    PredictRequest,
    Problem,
    {
        "description": "The answers; the header X-Model-Version is the version that answered.",
        "content": {
            "application/json": {"schema": {"anyOf": [reference(kind) for kind in (PredictResponse, ColumnarResponse)]}}
        },
    },
    streamed="With stream; see docs/serving.md.",
)


def make_app(service: Service, health_route: str = "/healthz", predict_route: str | None = None) -> FastAPI:
    """Creates the web application.

    Args:
        service: The service that answers.
        health_route: Route of the health check: 200 if every version with a traffic share answers, else 503.
        predict_route: A further route for predictions, as Vertex sets it.
    """
    app = FastAPI(title=f"Seqline endpoint {service.name}", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, limit=service.limits.body_bytes)
    app.add_middleware(UsualForms)
    app.add_middleware(Tracking)
    health_route = _without_slash(health_route)
    versions = service.versions

    @app.exception_handler(RequestError)
    async def request_error(request: Request, error: RequestError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        if error.cause is Cause.UNSUPPORTED:
            headers["Accept-Encoding"] = "gzip, identity"
        return JSONResponse(_error(request.url.path, error), error.cause.value[0], headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_path(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 400)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    async def read(request: Request, parse: Callable[..., T]) -> tuple[T, str] | None:
        """Reads a body, and the client's id of the request; None if the client disconnects."""
        request_id = request.headers.get("x-request-id", "")[:LONGEST_ID]
        with service.recording(request_id):
            packed = check_encoding(request.headers)
        try:
            content = await receive_body(request)
        except ClientDisconnect:
            return None
        with service.recording(request_id):
            return await read_body(content, service.limits, packed, parse), request_id

    async def answer(request: Request, version: int | None = None, alias: str | None = None) -> Response:
        found = await read(request, parse_body)
        if found is None:
            return Response(status_code=GONE)
        body, request_id = found
        if body.stream:
            stream = service.stream(body.texts, body.parameters, version, alias, request_id)
            # An error before the first event has its own status.
            first = await anext(stream, None)
            if first is None:
                raise RequestError(Cause.INVALID, "instances: there is no text to stream an answer for")
            headers = {"X-Model-Version": str(first.version), "Cache-Control": "no-store"}
            deltas = events(first, stream, body.by_column)
            return StreamingResponse(deltas, headers=headers, media_type="text/event-stream")
        answer = service.answer(body.texts, body.parameters, version, alias, "http", request_id)
        answered = await _unless_disconnected(request, answer)
        if answered is None:
            return Response(status_code=GONE)
        text = json.dumps(response(answered, body.by_column), ensure_ascii=False, separators=(",", ":"))
        headers = {"X-Model-Version": str(answered.version)}
        return Response(text, headers=headers, media_type="application/json")

    @app.post("/v1/models/{model}/versions/{version}:predict", **PREDICT)
    async def predict_version(model: str, version: Number, request: Request) -> Response:
        """Answers texts with one version, whatever its traffic share."""
        service.check_name(model)
        return await answer(request, version=version)

    @app.post("/v1/models/{model}/labels/{label}:predict", **PREDICT)
    async def predict_label(model: str, label: str, request: Request) -> Response:
        """Answers texts with the version that has an alias, such as champion."""
        service.check_name(model)
        return await answer(request, alias=label)

    @app.post("/v1/models/{model}:predict", **PREDICT)
    async def predict(model: str, request: Request) -> Response:
        """Answers texts with a version chosen by the traffic split."""
        service.check_name(model)
        return await answer(request)

    if predict_route:

        @app.post(_without_slash(predict_route), **PREDICT)
        async def predict_on_vertex(request: Request) -> Response:
            """Answers texts; the route that Vertex sets."""
            return await answer(request)

    def status_of(version: int | None = None, alias: str | None = None) -> dict[str, Any]:
        every = version is None and alias is None
        found = versions.loaded if every else [service.choose(version, alias)]
        available = [
            {"version": str(loaded.version), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            for loaded in found
        ]
        failed = [
            {"version": str(number), "state": "END", "status": {"error_code": "UNKNOWN", "error_message": why}}
            for number, why in sorted(versions.failures.items())
            if every
        ]
        return {"model_version_status": available + failed}

    def metadata_of(version: int | None = None, alias: str | None = None) -> dict[str, Any]:
        loaded = service.choose(version, alias)
        metadata = loaded.batcher.engine.metadata
        return {
            "model_spec": {"name": service.name, "signature_name": "", "version": str(loaded.version)},
            "metadata": {"signature_def": {"signature_def": metadata["json"]}, "model": metadata["description"]},
        }

    app.include_router(routes(service, read, _unless_disconnected))
    app.include_router(open_inference.routes(service, read, _unless_disconnected))
    app.include_router(feedback.routes(service, read))
    for suffix, read_state in (("", status_of), ("/metadata", metadata_of)):
        _add_routes(app, service, suffix, read_state)

    @app.get("/v1/traffic")
    async def traffic() -> dict[str, Any]:
        """Returns the traffic share of each version in percent, the aliases, and the versions that failed to load."""
        return {
            "name": service.name,
            "traffic": versions.applied.traffic,
            "aliases": versions.applied.aliases,
            "loaded": [loaded.version for loaded in versions.loaded],
            "failures": versions.failures,
        }

    @app.get(health_route, responses={503: {"description": "A version with a traffic share does not respond."}})
    async def health() -> JSONResponse:
        """Checks that every version with a traffic share answers; sends a request to those that have not lately."""
        healthy = await versions.healthy()
        return JSONResponse({"ready": healthy, "traffic": versions.applied.traffic}, 200 if healthy else 503)

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(service.metrics.text(versions), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8").replace("{{name}}", service.name))

    bodies = (CompletionBody, ChatBody, InferenceBody, FeedbackBody, FeedbackTaken)
    describe(app, PredictRequest, PredictResponse, ColumnarResponse, *bodies)
    return app


async def receive_body(request: Request) -> bytearray:
    """Receives a body, without the second copy that `Request.body` makes.

    Args:
        request: The request.

    Raises:
        ClientDisconnect: If the client disconnects.
        RequestError: If it is longer than its limit.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
    return content


def _error(path: str, error: RequestError) -> dict[str, Any]:
    return error_body(error) if _without_slash(path) in ROUTES else {"error": str(error)}


async def _unless_disconnected(request: Request, answer: Coroutine[Any, Any, T]) -> T | None:
    """Answers, unless the client disconnects first: then its queued texts are removed."""
    answering = asyncio.ensure_future(answer)

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        answering.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await answering
    except asyncio.CancelledError:
        if not watching.done():  # not the client: the server is shutting down
            answering.cancel()
            raise
        return None
    finally:
        watching.cancel()


def _add_routes(app: FastAPI, service: Service, suffix: str, read: Callable[..., dict[str, Any]]) -> None:
    """Adds TensorFlow Serving's three routes of a status or of metadata."""
    documented: dict[str, Any] = {"responses": {status: ERRORS[status] for status in (400, 404, 503)}}
    name, path = suffix.strip("/") or "status", "/v1/models/{model}"

    @app.get(path + suffix, name=name, description=f"The {name}, in TensorFlow Serving's format.", **documented)
    async def of_model(model: str) -> dict[str, Any]:
        if not suffix and (":" in model or service.versions.loaded):
            # Also OpenAI's route of a model; each client reads its own fields.
            own = {} if ":" in model else read()
            return {**entry(service, model), **own}
        service.check_name(model)
        return read()

    @app.get(path + "/versions/{version}" + suffix, name=f"{name}_of_version", **documented)
    async def of_version(model: str, version: Number) -> dict[str, Any]:
        service.check_name(model)
        return read(version)

    @app.get(path + "/labels/{label}" + suffix, name=f"{name}_of_label", **documented)
    async def of_label(model: str, label: str) -> dict[str, Any]:
        service.check_name(model)
        return read(None, label)


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class UsualForms:
    """Answers HEAD like GET without the body, which the server leaves out, and a path that ends with a slash.

    Args:
        app: The application.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] == "http":
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            scope = {**scope, "method": method, "path": _without_slash(scope["path"])}
        await self.app(scope, receive, send)


class Tracking:
    """Reads the client's label of a request, and adds the answer's id to the headers of the response.

    Args:
        app: The application.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = LABEL.encode()
        label = next((value for header, value in scope["headers"] if header == name), b"")
        tracked = track(label.decode("latin-1"))

        async def with_id(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and tracked.answer_id:
                message["headers"] = [*message["headers"], (ID.encode(), tracked.answer_id.encode())]
            await send(message)

        await self.app(scope, receive, with_id)


def _without_slash(path: str) -> str:
    return path.removesuffix("/") or "/"


class BodyLimit:
    """Rejects bodies that are too long, by their Content-Length or, sent in chunks, while they are received.

    Args:
        app: The application.
        limit: Largest number of bytes.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > self.limit:
            refused = _error(scope["path"], RequestError(Cause.TOO_LARGE, self._message))
            too_large = JSONResponse(refused, 413, {"Connection": "close"})
            await too_large(scope, receive, send)
            return
        received = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise RequestError(Cause.TOO_LARGE, self._message)
            return message

        await self.app(scope, counted, send)

    @property
    def _message(self) -> str:
        return f"the body has more than {self.limit} bytes"
