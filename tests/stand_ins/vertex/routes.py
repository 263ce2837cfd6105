"""From an HTTP request to the real request message: the routes are read from Google's own REST transports."""

import base64
import importlib
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import proto
from google.cloud.aiplatform_v1 import types
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.stand_ins.server import ApiError, Request

SERVICES = ("endpoint", "job", "metadata", "model", "pipeline", "prediction", "schedule")
# Their body is the model's own, not a message: docs.cloud.google.com/vertex-ai/docs/predictions/get-online-predictions.
RAW = ("RawPredict", "StreamRawPredict")
VARIABLE = re.compile(r"\{([a-z_.]+)=([^}]+)\}")


@dataclass(frozen=True)
class Route:
    """One HTTP form of a remote procedure."""

    procedure: str
    verb: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...]
    body: str
    request: type[proto.Message]


@cache
def routes() -> tuple[Route, ...]:
    """Every procedure of the services that Seqline uses, as the client's transport describes it."""
    found = []
    for service in SERVICES:
        package = f"google.cloud.aiplatform_v1.services.{service}_service.transports.rest_base"
        module = importlib.import_module(package)
        transport = getattr(module, f"_Base{service.title()}ServiceRestTransport")
        for name, method in vars(transport).items():
            request = getattr(types, f"{name.removeprefix('_Base')}Request", None)
            if request is None or not hasattr(method, "_get_http_options"):
                continue
            for option in method._get_http_options():
                pattern, fields = _compile(option["uri"])
                route = Route(name[5:], option["method"].upper(), pattern, fields, option.get("body", ""), request)
                found.append(route)
    return tuple(found)


def _compile(uri: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    parts, end = [], 0
    for variable in VARIABLE.finditer(uri):
        parts.append(re.escape(uri[end : variable.start()]))
        parts.append("(" + re.escape(variable[2]).replace(r"\*\*", ".+").replace(r"\*", "[^/:]+") + ")")
        end = variable.end()
    parts.append(re.escape(uri[end:]))
    return re.compile("".join(parts)), tuple(variable[1] for variable in VARIABLE.finditer(uri))


def find_route(request: Request) -> tuple[Route, dict[str, str]]:
    """Finds the procedure that a request calls, and the fields that its path sets.

    Raises:
        ApiError: 404 if there is none.
    """
    for route in routes():
        if route.verb == request.verb and (match := route.pattern.fullmatch(request.path)):
            return route, {name: unquote(text) for name, text in zip(route.fields, match.groups(), strict=True)}
    raise ApiError(404, f"no procedure for {request.verb} {request.path}")


def parse(request: Request) -> tuple[str, Any]:
    """Parses a request into its real message; what the schema does not know is refused.

    Returns:
        The procedure's name and its request message.

    Raises:
        ApiError: 400 if a field is unknown, of the wrong type, or an enum has no such value.
    """
    route, path = find_route(request)
    message = route.request.pb(route.request())
    values: dict[str, Any] = {}
    if route.procedure in RAW:
        values = {"httpBody": {"contentType": "application/json", "data": base64.b64encode(request.body).decode()}}
    elif route.body:
        content = json.loads(request.body or b"{}")
        values = content if route.body == "*" else {route.body: content}
    for name, text in request.query:
        if not name.startswith("$"):
            _set(values, name, text, message.DESCRIPTOR)
    for name, text in path.items():
        _set(values, name, text, message.DESCRIPTOR)
    try:
        json_format.ParseDict(values, message, ignore_unknown_fields=False)
    except json_format.ParseError as error:
        raise ApiError(400, f"Invalid JSON payload received. {error}") from None
    return route.procedure, route.request.wrap(message)


def _set(values: dict[str, Any], name: str, text: str, descriptor: Descriptor) -> None:
    """Sets a field by its dotted name; booleans and lists arrive as text in a query."""
    first, _, rest = name.partition(".")
    field = next((field for field in descriptor.fields if first in {field.name, field.json_name}), None)
    if rest and field is not None:
        below = values.setdefault(field.name if field.name in values else field.json_name, {})
        _set(below, rest, text, field.message_type)
        return
    value: Any = text
    if field is not None and field.type == FieldDescriptor.TYPE_BOOL:
        value = text == "true"
    if field is not None and field.is_repeated:
        values.setdefault(first, []).append(value)
    else:
        values[first] = value
