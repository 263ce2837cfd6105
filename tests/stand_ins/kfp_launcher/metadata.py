"""ML Metadata as driver and launcher use it: backend/src/v2/metadata/{client,converter}.go at 2.17.0."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.kfp_launcher.buckets import LauncherError


@dataclass
class Artifact:
    """A recorded artifact."""

    number: int
    uri: str
    metadata: dict[str, Any]

    def runtime(self) -> dict[str, Any]:
        """toRuntimeArtifact: its name is its number, and so part of a cache key."""
        return {"name": str(self.number), "uri": self.uri, "type": {"instanceSchema": ""}, "metadata": self.metadata}


@dataclass
class Execution:
    """A recorded execution of a task, or of a DAG with its tasks."""

    number: int
    task: str
    parent: "Execution | None"
    inputs: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    component: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    output_artifacts: dict[str, Artifact] = field(default_factory=dict)
    state: str = "RUNNING"
    children: dict[str, "Execution"] = field(default_factory=dict)
    iterations: list["Execution"] | None = None
    """Of a loop: an execution of its DAG for each item."""

    @property
    def is_dag(self) -> bool:
        return "dag" in self.component

    def update(self) -> None:
        """UpdateDAGExecutionsState, which only a launcher calls: a DAG may stay RUNNING after its last task.

        A condition that is not met, and a task that is cached, are recorded by a driver. 2.5.0 does not go on to the
        parent.
        """
        if self.iterations is None:
            expected = len(self.component.get("dag", {}).get("tasks", {}))
            states = [child.state for child in self.children.values()]
        else:
            expected, states = len(self.iterations), [one.state for one in self.iterations]
        if self.parent is None:
            return  # DAG 0 has no expected task count
        if sum(state in ("COMPLETE", "CACHED", "CANCELED") for state in states) == expected:
            self.state = "COMPLETE"
        elif "FAILED" in states:
            self.state = "FAILED"
        else:
            return
        self.parent.update()


@dataclass
class Store:
    """All artifacts and executions, and the cache of the API server."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    imported: dict[str, Artifact] = field(default_factory=dict)
    cache: dict[tuple[str, str], Execution] = field(default_factory=dict)

    def record(self, name: str, uri: str, metadata: dict[str, Any], session: str = "{}") -> Artifact:
        """RecordArtifact."""
        properties = {key: _property(value) for key, value in metadata.items()}
        properties.setdefault("display_name", name)
        properties.setdefault("store_session_info", session)
        return Artifact(next(self.numbers), uri, properties)


def value(given: Any) -> Any:
    """A structpb.Value: every number is a double, and there is no NaN.

    Args:
        given: A JSON value.
    """
    if isinstance(given, dict):
        return {key: value(one) for key, one in given.items()}
    if isinstance(given, list):
        return [value(one) for one in given]
    if isinstance(given, int) and not isinstance(given, bool):
        return int(float(given))
    return given


def _property(given: Any) -> Any:
    """StructValueToMLMDValue and back: what of a type remains, and a null is an error."""
    if isinstance(given, bool):
        return int(given)
    if isinstance(given, list):
        return {"list": given}
    if isinstance(given, dict):
        return {"struct": given}
    if given is None:
        raise LauncherError("unable to produce MLMD artifact: unknown/unsupported value type *structpb.Value_NullValue")
    return given
