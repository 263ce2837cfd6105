"""What the stand-in remembers: resources by name, listed in pages, filtered, and operations."""

import datetime
import enum
import itertools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import any_pb2

from tests.stand_ins.server import ApiError

PROJECT, NUMBER = "a-project", "123456789012"
ORDER = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
COMPARISON = re.compile(r"""\s*([\w.-]+)\s*(=|!=|:|>=|<=|>|<)\s*(?:"([^"]*)"|([^\s()]+))\s*""")


def canonical(name: str) -> str:
    """A resource's name as Vertex answers it: with the project's number, whatever the request had.

    Raises:
        ApiError: 403 if the project is another one.
    """
    first, project, *rest = name.split("/")
    if first != "projects" or project not in {PROJECT, NUMBER}:
        raise ApiError(403, f"Permission denied on resource project {project}.")
    return "/".join([first, NUMBER, *rest])


@dataclass
class Clock:
    """The stand-in's time, which tests set forward."""

    now: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc))

    def tick(self, seconds: float = 1) -> datetime.datetime:
        """Time passes."""
        self.now += datetime.timedelta(seconds=seconds)
        return self.now


@dataclass
class Collection:
    """Resources of one kind, in the order they were made.

    Attributes:
        kind: The segment in their names, such as pipelineJobs.
        filterable: Fields that a list's filter may compare; labels always may be.
        page: Maximum resources in a page, so that clients must request the next one.
    """

    kind: str
    filterable: frozenset[str] = frozenset({"display_name"})
    page: int = 2
    items: dict[str, Any] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: itertools.count(1001))

    def add(self, parent: str, item: Any, id_: str = "") -> Any:
        """Names a resource and stores it.

        Raises:
            ApiError: 409 if the name is taken.
        """
        name = f"{canonical(parent)}/{self.kind}/{id_ or next(self.ids)}"
        if name in self.items:
            raise ApiError(409, f"{name} already exists")
        item.name = name
        self.items[name] = item
        return item

    def get(self, name: str) -> Any:
        """Finds a resource.

        Raises:
            ApiError: 404 if there is none.
        """
        if canonical(name) not in self.items:
            raise ApiError(404, f"{name} is not found.")
        return self.items[canonical(name)]

    def remove(self, name: str) -> None:
        """Forgets a resource."""
        del self.items[self.get(name).name]

    def select(self, request: Any) -> tuple[list[Any], str]:
        """One page of a list request, newest first, and the next page's token."""
        parent = canonical(request.parent)
        found = [item for name, item in self.items.items() if name.startswith(parent + "/")]
        found = [item for item in reversed(found) if matches(item, request.filter, self.filterable)]
        return page_of(found, request, self.page)


def page_of(found: list[Any], request: Any, most: int) -> tuple[list[Any], str]:
    """Cuts a page out of a list."""
    start = int(request.page_token or 0)
    end = start + min(request.page_size or most, most)
    return found[start:end], str(end) if end < len(found) else ""


def matches(item: Any, text: str, filterable: frozenset[str]) -> bool:
    """Whether a resource fits a filter: comparisons joined with AND.

    Raises:
        ApiError: 400 if the filter cannot be read or compares a field that Vertex does not filter by.
    """
    for part in re.split(r"\s+AND\s+", text) if text else []:
        comparison = COMPARISON.fullmatch(part)
        if not comparison:
            raise ApiError(400, f"Invalid filter: {part!r}")
        name, sign, quoted, bare = comparison.groups()
        wanted = quoted if quoted is not None else bare
        name = re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), name)
        if name.startswith("labels."):
            value = item.labels.get(name.removeprefix("labels."))
        elif sign == ":" and wanted == "*" and name in type(item).meta.fields:
            value = item if name in item else None
        elif name in filterable:
            value = _field(item, name)
        else:
            raise ApiError(400, f"Invalid filter: field {name!r} is not supported")
        if not _compare(value, sign, wanted):
            return False
    return True


def _field(item: Any, name: str) -> Any:
    if name == "pipeline_name":
        return item.pipeline_spec["pipelineInfo"]["name"]
    # What is no field is the id, under the name that this kind of resource has for it.
    value = getattr(item, name) if name in type(item).meta.fields else item.name.rpartition("/")[2]
    return value.name if isinstance(value, enum.Enum) else value


def _compare(value: Any, sign: str, wanted: str) -> bool:
    if isinstance(value, datetime.datetime):
        other = datetime.datetime.fromisoformat(wanted.replace("Z", "+00:00"))
        results = {
            "=": value == other,
            "<": value < other,
            ">": value > other,
            "<=": value <= other,
            ">=": value >= other,
        }
        return results[operator]
    if sign == ":":
        return value is not None and (wanted == "*" or re.fullmatch(wanted.replace("*", ".*"), str(value)) is not None)
    return (str(value) == wanted and value is not None) == (sign == "=")


def require_current(given: str, current: str, name: str) -> None:
    """Refuses a stale etag; without one an update overwrites.

    The rule is in the client's own description of Endpoint.etag and Model.etag: "Used to perform consistent
    read-modify-write updates. If not set, a blind "overwrite" update happens." AIP-154 (google.aip.dev/154) demands the
    error ABORTED, which is HTTP 409.

    Raises:
        ApiError: 409 if the resource has changed since the etag was read.
    """
    if given and given != current:
        raise ApiError(409, f"The etag {given} of {name} is not the current one, {current}.", "ABORTED")


@dataclass
class Operations:
    """Long-running operations: begun when they are answered, done when they are looked at.

    Attributes:
        slow: By procedure, such as DeployModel, how many looks its operations run for; then they take effect.
        cancelled: Names of operations that somebody asked to cancel; they run on, as the service may let them.
    """

    items: dict[str, operations_pb2.Operation] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: itertools.count(1))
    slow: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)
    _effects: dict[str, Callable[[], None]] = field(default_factory=dict)

    def start(
        self, parent: str, response: Any, metadata: Any = None, effect: Callable[[], None] = lambda: None
    ) -> operations_pb2.Operation:
        """An operation that will end with a response.

        Args:
            parent: The location, or the resource it works on.
            response: The message that it ends with.
            metadata: Its metadata message.
            effect: What it does at its end; at once, unless it is slow.
        """
        operation = operations_pb2.Operation(name=f"{canonical(parent)}/operations/{next(self.ids)}")
        operation.response.CopyFrom(_pack(response))
        if metadata is not None:
            operation.metadata.CopyFrom(_pack(metadata))
        kind = type(metadata).__name__.removesuffix("OperationMetadata")
        if kind in self.slow:
            self._left[operation.name], self._effects[operation.name] = self.slow[kind], effect
        else:
            effect()
        self.items[operation.name] = operation
        return operations_pb2.Operation(name=operation.name, metadata=operation.metadata)

    def get(self, name: str) -> operations_pb2.Operation:
        """Looks at an operation."""
        if canonical(name) not in self.items:
            raise ApiError(404, f"{name} is not found.")
        operation = self.items[canonical(name)]
        left = self._left.get(operation.name, 0)
        if left > 0:
            self._left[operation.name] = left - 1
            return operations_pb2.Operation(name=operation.name, metadata=operation.metadata)
        self._effects.pop(operation.name, lambda: None)()
        operation.done = True
        return operation

    def list_of(self, resource: str) -> operations_pb2.ListOperationsResponse:
        """The operations of one resource; to list them ends none."""
        prefix = f"{canonical(resource)}/operations/"
        return operations_pb2.ListOperationsResponse(
            operations=[one for name, one in self.items.items() if name.startswith(prefix)]
        )


def _pack(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(type(message).pb(message) if hasattr(type(message), "pb") else message)
    return packed
