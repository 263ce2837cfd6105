"""What the OpenAPI document says of routes whose bodies FastAPI does not parse."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from seqline.serving.request_errors import Cause

COMPONENTS = "#/components/schemas/"


def reference(kind: type[BaseModel]) -> dict[str, str]:
    """Returns the reference to a model, which `describe` adds to the document.

    Args:
        kind: The model.
    """
    return {"$ref": COMPONENTS + kind.__name__}


def errors(body: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Returns the responses that are errors.

    Args:
        body: The model of their bodies.
    """
    return {cause.value[0]: {"model": body} for cause in Cause}


def documented(
    body: type[BaseModel], error: type[BaseModel], response: dict[str, Any], streamed: str = ""
) -> dict[str, Any]:
    """Returns what the document says of a route, as arguments of FastAPI's decorators.

    Args:
        body: The model of its body.
        error: The model of its errors.
        response: The response with status 200.
        streamed: Description of a stream; empty without one.
    """
    content = {**response.get("content", {})}
    if streamed:
        content["text/event-stream"] = {"schema": {"type": "string", "description": streamed}}
    return {
        "responses": {**errors(error), 200: {**response, "content": content}},
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": reference(body)}}}
        },
    }


def describe(app: FastAPI, *kinds: type[BaseModel]) -> None:
    """Adds models to the document.

    Args:
        app: The application.
        *kinds: The models.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for kind in kinds:
            schema = kind.model_json_schema(ref_template=COMPONENTS + "{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[kind.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
