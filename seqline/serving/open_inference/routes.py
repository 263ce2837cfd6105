"""The routes of the Open Inference Protocol."""

import json
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from seqline.serving.contract import Problem
from seqline.serving.json_reader import invalid
from seqline.serving.open_inference.requests import InferenceBody, parse_inference
from seqline.serving.open_inference.tensors import BINARY, Inference, description_of, outputs_of, version_of
from seqline.serving.openapi import documented, errors
from seqline.serving.receiving import GONE, Read, Wait
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Answered, Service

# Its length is that of the JSON before the binary data.
BINARY_HEADER = "inference-header-content-length"
KNOWN: dict[int | str, dict[str, Any]] = {status: errors(Problem)[status] for status in (404, 503)}
INFER = documented(InferenceBody, Problem, {"description": "The output tensors.", "content": {"application/json": {}}})


def server_metadata() -> dict[str, Any]:
    """Returns the server's name and version."""
    return {"name": "seqline", "version": metadata.version("seqline"), "extensions": []}


def routes(service: Service, read: Read, wait: Wait) -> APIRouter:
    """Returns the routes.

    Args:
        service: The server.
        read: Reads a request's body.
        wait: Awaits an answer.
    """
    router = APIRouter(prefix="/v2")

    async def infer(request: Request, model: str, version: str) -> Response:
        service.check_name(model)
        number, alias = version_of(version)
        with service.recording(""):
            if BINARY_HEADER in request.headers:
                raise RequestError(Cause.INVALID, f"Inference-Header-Content-Length: {BINARY}")
        found = await read(request, parse_inference)
        if found is None:
            return Response(status_code=GONE)
        inference, request_id = found
        if inference.model not in ("", model):
            raise invalid("model_name", "is not the model in the address")
        answer = service.answer(inference.texts, inference.parameters, number, alias, "v2", request_id)
        answered = await wait(request, answer)
        if answered is None:
            return Response(status_code=GONE)
        text = json.dumps(_response(service, inference, answered), ensure_ascii=False, separators=(",", ":"))
        return Response(text, headers={"X-Model-Version": str(answered.version)}, media_type="application/json")

    def ready(model: str, version: str) -> dict[str, Any]:
        service.check_name(model)
        service.choose(*version_of(version))
        return {"name": service.name, "ready": True}

    @router.get("")
    async def server() -> dict[str, Any]:
        """Returns the server's name and version."""
        return server_metadata()

    @router.get("/health/live")
    async def live() -> dict[str, Any]:
        """Whether the server runs."""
        return {"live": True}

    @router.get("/health/ready", responses={503: {"description": "A version with a traffic share does not respond."}})
    async def server_ready() -> JSONResponse:
        """Whether every version with a traffic share answers."""
        healthy = await service.versions.healthy()
        return JSONResponse({"live": True, "ready": healthy}, 200 if healthy else 503)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """Lists the models, as KServe's own server does."""
        return {"models": [service.name]}

    @router.get("/models/{model}", responses=KNOWN)
    async def model_metadata(model: str) -> dict[str, Any]:
        """Describes the inputs and outputs of the model."""
        return description_of(service, model)

    @router.get("/models/{model}/versions/{version}", responses=KNOWN)
    async def version_metadata(model: str, version: str) -> dict[str, Any]:
        """Describes the inputs and outputs of a version."""
        return description_of(service, model, version)

    @router.get("/models/{model}/ready", responses=KNOWN)
    async def model_ready(model: str) -> dict[str, Any]:
        """Whether a version of the model is loaded."""
        return ready(model, "")

    @router.get("/models/{model}/versions/{version}/ready", responses=KNOWN)
    async def version_ready(model: str, version: str) -> dict[str, Any]:
        """Whether a version is loaded."""
        return ready(model, version)

    @router.post("/models/{model}/infer", **INFER)
    async def infer_model(model: str, request: Request) -> Response:
        """Answers texts with a version chosen by the traffic split."""
        return await infer(request, model, "")

    @router.post("/models/{model}/versions/{version}/infer", **INFER)
    async def infer_version(model: str, version: str, request: Request) -> Response:
        """Answers texts with one version, by its number or alias."""
        return await infer(request, model, version)

    return router


def _response(service: Service, inference: Inference, answered: Answered) -> dict[str, Any]:
    return {
        "model_name": service.name,
        "model_version": str(answered.version),
        **({"id": inference.identity} if inference.identity else {}),
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": output.shape, "data": output.data}
            for output in outputs_of(inference, answered)
        ],
    }
