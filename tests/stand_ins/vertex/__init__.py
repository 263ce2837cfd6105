"""The Vertex AI API on loopback."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, json_format

from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving
from tests.stand_ins.vertex.conformance import check_keys, validate
from tests.stand_ins.vertex.domains import require_api, require_domain
from tests.stand_ins.vertex.endpoints import Endpoints
from tests.stand_ins.vertex.jobs import Jobs
from tests.stand_ins.vertex.metadata import Metadata
from tests.stand_ins.vertex.models import Models
from tests.stand_ins.vertex.pipelines import Pipelines
from tests.stand_ins.vertex.routes import find_route, parse
from tests.stand_ins.vertex.schedules import Schedules
from tests.stand_ins.vertex.state import NUMBER, PROJECT, Clock, Operations

OPERATION = re.compile(r"/(?:v1|ui)/(projects/[^:]*/operations/[^/:]+)(?::(wait|cancel))?")
OPERATIONS = re.compile(r"/(?:v1|ui)/(projects/[^:]*)/operations")
LOG_FILTER = re.compile(
    r'resource\.type="ml_job" AND resource\.labels\.job_id="([^"]+)"'
    # A part of a field: cloud.google.com/logging/docs/view/logging-query-language#comparisons.
    r'(?: AND \(textPayload:"([^"]+)" OR jsonPayload\.message:"\2"\))?'
)
PREDICTIONS = ("Predict", "RawPredict", "StreamRawPredict")

__all__ = ["NUMBER", "PROJECT", "VertexStandIn"]


@dataclass
class VertexStandIn:
    """One region of one project.

    Attributes:
        url: Where it listens, once it runs.
        calls: Every request that was carried out or refused: the procedure and its parsed message.
        faults: What is to go wrong.
    """

    url: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    clock: Clock = field(default_factory=Clock)
    operations: Operations = field(default_factory=Operations)

    def __post_init__(self) -> None:
        self.models = Models(self.clock, self.operations)
        self.endpoints = Endpoints(self.clock, self.operations, self.models)
        self.pipelines = Pipelines(self.clock, self.operations)
        self.schedules = Schedules(self.clock, self.operations, self.pipelines)
        self.jobs = Jobs(self.clock, self.operations)
        self.metadata = Metadata(self.clock, self.pipelines.contexts)
        self.services: list[Any] = [
            self.models, self.endpoints, self.pipelines, self.schedules, self.jobs, self.metadata,
        ]  # fmt: skip

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["VertexStandIn"]:
        """Starts it on a free port."""
        stand_in = cls()
        with serving(stand_in, stand_in.faults) as stand_in.url:
            stand_in.endpoints.port = int(stand_in.url.rpartition(":")[2])
            yield stand_in

    def called(self, procedure: str) -> list[Any]:
        """The requests of one procedure, in order."""
        return [message for name, message in self.calls if name == procedure]

    def name(self, request: Request) -> str:
        """The procedure that a request calls."""
        if request.path == "/v2/entries:list":
            return "ListLogEntries"
        if OPERATIONS.fullmatch(request.path):
            return "ListOperations"
        return "Operation" if OPERATION.fullmatch(request.path) else find_route(request)[0].procedure

    def answer(self, request: Request) -> Answer:
        """Parses, validates and carries out one request."""
        if request.path == "/v2/entries:list":
            return self._logs(json.loads(request.body))
        if operations := OPERATIONS.fullmatch(request.path):
            return _answer(self.operations.list_of(operations[1]))
        if operation := OPERATION.fullmatch(request.path):
            return _answer(self._operation(operation[1], operation[2]))
        procedure, message = parse(request)
        self.calls.append((procedure, message))
        validate(message)
        check_keys(message)
        if procedure in PREDICTIONS:
            require_domain(request, self.endpoints.resources.get(message.endpoint), procedure)
        else:
            require_api(request, procedure)
        method = re.sub(r"(?<!^)([A-Z])", r"_\1", procedure).lower()
        for service in self.services:
            if hasattr(service, method):
                return _answer(getattr(service, method)(message))
        raise ApiError(501, f"the stand-in does not do {procedure}")

    def _logs(self, query: dict[str, Any]) -> Answer:
        """Cloud Logging's entries of one custom job, one in a page."""
        wanted = LOG_FILTER.fullmatch(query["filter"])
        if set(query) - {"resourceNames", "filter", "orderBy", "pageSize", "pageToken"} or not wanted:
            raise ApiError(400, f"Invalid query {query}")
        lines, start = self.pipelines.logs.get(wanted[1], []), int(query.get("pageToken") or 0)
        lines = [line for line in lines if not wanted[2] or wanted[2] in line]
        lines = lines[::-1] if query.get("orderBy") == "timestamp desc" else lines
        page = [{"textPayload": line, "severity": "INFO"} for line in lines[start : start + 1]]
        more = {"nextPageToken": str(start + 1)} if start + 1 < len(lines) else {}
        return Answer(json.dumps({"entries": page, **more}).encode())

    def _operation(self, name: str, verb: str | None) -> Any:
        if verb == "cancel":
            self.operations.cancelled.append(name)
            return empty_pb2.Empty()
        return self.operations.get(name)


def _answer(message: Any) -> Answer:
    if isinstance(message, Answer):
        return message
    raw = type(message).pb(message) if hasattr(type(message), "pb") else message
    if isinstance(raw, operations_pb2.Operation) and raw.HasField("error"):
        raw.ClearField("response")
    return Answer(json_format.MessageToJson(raw).encode())
