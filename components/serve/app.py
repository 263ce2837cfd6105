"""The HTTP interface: Vertex's contract and TensorFlow Serving's addresses."""

import logging
import time
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from components.serve.versions import SingleVersion, Versions

log = logging.getLogger(__name__)

# Vertex's limit on a dedicated endpoint; a shared one has 1.5 MB.
MAX_BYTES = 10 * 1024 * 1024


class Text(BaseModel):
    """An input as an object, as clients of other models send it."""

    model_config = ConfigDict(extra="forbid")

    text: str


class PredictRequest(BaseModel):
    """The body of a prediction request."""

    model_config = ConfigDict(extra="forbid")

    instances: list[str | Text] = Field(description="The texts, or objects with the field text.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Reserved; must be empty.", max_length=0)


class Prediction(BaseModel):
    """An answer."""

    text: str
    score: float = Field(description="Log probability, normalised by length; higher is better.")


class PredictResponse(BaseModel):
    """The answers, in the order of the instances."""

    predictions: list[Prediction]


def make_app(
    name: str,
    versions: Versions | SingleVersion,
    health_route: str = "/healthz",
    predict_route: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> FastAPI:
    """Makes the web application.

    Args:
        name: The model's name in addresses.
        versions: The loaded versions.
        health_route: Answers 200 when the live model can answer, else 503.
        predict_route: A further address for predictions, as Vertex sets it.
        max_bytes: Largest request body.
    """
    app = FastAPI(title=f"Seqline endpoint {name}", docs_url="/docs", redoc_url=None)

    @app.exception_handler(RequestValidationError)
    async def bad_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return JSONResponse({"error": f"{field}: {first['msg']}"}, 400)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    @app.middleware("http")
    async def limit(request: Request, call_next: Any) -> Any:
        if int(request.headers.get("content-length", 0)) > max_bytes:
            return JSONResponse({"error": f"the request has more than {max_bytes} bytes"}, 413)
        # `curl -d` says that it sends a form; there is nothing but JSON here.
        others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
        request.scope["headers"] = [*others, (b"content-type", b"application/json")]
        return await call_next(request)

    async def answer(body: PredictRequest, version: int | None) -> PredictResponse:
        texts = [instance if isinstance(instance, str) else instance.text for instance in body.instances]
        started = time.perf_counter()
        model = await run_in_threadpool(versions.get, version)
        if model is None:
            if version is None:
                raise HTTPException(503, "no version is live yet")
            raise HTTPException(404, f"model {name} has no version {version}")
        predictions = await run_in_threadpool(model.predict, texts)
        log.info("predict: %d texts in %.1f ms", len(texts), 1000 * (time.perf_counter() - started))
        return PredictResponse(predictions=[Prediction(**prediction) for prediction in predictions])

    def known(model: str) -> None:
        if model != name:
            raise HTTPException(404, f"there is no model {model!r} here; there is {name!r}")

    @app.post("/v1/models/{model}/versions/{version}:predict")
    async def predict_version(model: str, version: int, body: PredictRequest) -> PredictResponse:
        """Answers texts with one version, live or not."""
        known(model)
        return await answer(body, version)

    @app.post("/v1/models/{model}:predict")
    async def predict(model: str, body: PredictRequest) -> PredictResponse:
        """Answers texts with the live version."""
        known(model)
        return await answer(body, None)

    if predict_route:

        @app.post(predict_route)
        async def predict_on_vertex(body: PredictRequest) -> PredictResponse:
            """Answers texts; the address that Vertex sets."""
            return await answer(body, None)

    @app.get("/v1/models/{model}")
    async def status(model: str) -> dict[str, Any]:
        """Says which version is live, as TensorFlow Serving does."""
        known(model)
        if versions.live is None:
            return {"model_version_status": []}
        return {
            "model_version_status": [
                {
                    "version": str(versions.live),
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        }

    @app.get(health_route)
    async def health() -> JSONResponse:
        """Whether the live model can answer."""
        ready = versions.live is not None
        return JSONResponse({"ready": ready, "version": versions.live}, 200 if ready else 503)

    return app
