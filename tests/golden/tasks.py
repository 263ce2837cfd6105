"""The tasks of a compiled spec, without its groups: where each input really comes from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A task that runs in a container, or an importer.

    Attributes:
        name: Its name in the spec.
        stage: The name of its component, such as `evaluate` for `evaluate-2`.
        groups: The groups that it is in, outermost first.
        conditions: What must hold that it runs, such as `bless.Output == true`.
        always: Whether it also runs after a failure.
        cached: Whether it may be cached.
        after: The tasks and groups that it, or a group that it is in, waits for.
        artifacts: Sources of artifacts by input: TASK.OUTPUT.
        parameters: Sources of parameters by input: TASK.OUTPUT, or the name of a parameter of the pipeline.
        constants: Values of inputs that the pipeline sets.
        defaults: Values of inputs that the pipeline does not set.
        retries: The retry policy; empty for none.
        label: The name of its executor.
        executor: What runs, as the spec has it.
    """

    name: str
    stage: str
    groups: tuple[str, ...]
    conditions: tuple[str, ...]
    always: bool
    cached: bool
    after: tuple[str, ...]
    artifacts: dict[str, str]
    parameters: dict[str, str]
    constants: dict[str, Any]
    defaults: dict[str, Any]
    retries: dict[str, Any]
    label: str
    executor: Spec

    @property
    def image(self) -> str:
        """The image; empty for an importer."""
        return str(self.executor.get("container", {}).get("image", ""))


@dataclass(frozen=True)
class _Group:
    """The inside of a group, or of the whole pipeline.

    Attributes:
        names: The groups that it is in, itself included.
        inputs: Sources by the names of its inputs.
        conditions: What must hold that it runs.
        after: What it waits for.
    """

    names: tuple[str, ...]
    inputs: Mapping[str, str]
    conditions: tuple[str, ...] = ()
    after: frozenset[str] = frozenset()


def parameters_of(spec: Spec) -> dict[str, Spec]:
    """The parameters of a pipeline by name."""
    found: dict[str, Spec] = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return found


def dags_of(spec: Spec) -> list[Spec]:
    """The graphs of the pipeline and of its groups: `tasks` by name."""
    return [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]


def tasks_of(spec: Spec) -> dict[str, Task]:
    """The tasks of a spec by name, in alphabetical order."""
    root = _Group((), {name: name for name in parameters_of(spec)})
    found = list(_tasks(spec, spec["root"]["dag"], root))
    return {task.name: task for task in sorted(found, key=lambda task: task.name)}


def _tasks(spec: Spec, dag: Spec, group: _Group) -> Iterator[Task]:
    for name, task in dag["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        inputs = {**task.get("inputs", {}).get("parameters", {}), **task.get("inputs", {}).get("artifacts", {})}
        constants = {key: value["runtimeValue"]["constant"] for key, value in inputs.items() if "runtimeValue" in value}
        sources = {
            key: _source(spec, dag, value, group.inputs) for key, value in inputs.items() if key not in constants
        }
        trigger = task.get("triggerPolicy", {})
        condition = str(trigger.get("condition", ""))
        for key, source in sources.items():
            condition = condition.replace(f"inputs.parameter_values['{key}']", source)
        conditions = (*group.conditions, *([condition] if condition else []))
        after = group.after | set(task.get("dependentTasks", []))
        if "dag" in component:
            fixed = {key: json.dumps(value) for key, value in constants.items()}
            inner = _Group((*group.names, name), {**sources, **fixed}, conditions, after)
            yield from _tasks(spec, component["dag"], inner)
            continue
        known = component.get("inputDefinitions", {})
        yield Task(
            name=name,
            stage=task["componentRef"]["name"].removeprefix("comp-").rstrip("-0123456789"),
            groups=group.names,
            conditions=conditions,
            always=trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
            cached=task.get("cachingOptions", {}).get("enableCache", False),
            after=tuple(sorted(after)),
            artifacts={key: source for key, source in sources.items() if key in known.get("artifacts", {})},
            parameters={key: source for key, source in sources.items() if key in known.get("parameters", {})},
            constants=constants,
            defaults={
                key: one.get("defaultValue") for key, one in known.get("parameters", {}).items() if key not in inputs
            },
            retries=task.get("retryPolicy", {}),
            label=component["executorLabel"],
            executor=spec["deploymentSpec"]["executors"][component["executorLabel"]],
        )


def _source(spec: Spec, dag: Spec, value: Spec, inputs: Mapping[str, str]) -> str:
    """Where an input comes from; through groups, the task that writes it."""
    for kind in ("componentInputParameter", "componentInputArtifact"):
        if kind in value:
            return inputs[value[kind]]
    if "taskFinalStatus" in value:
        return f"status of {value['taskFinalStatus']['producerTask']}"
    (output,) = value.values()
    producer, key = output["producerTask"], output.get("outputParameterKey") or output["outputArtifactKey"]
    component = spec["components"][dag["tasks"][producer]["componentRef"]["name"]]
    if "dag" not in component:
        return f"{producer}.{key}"
    inner = component["dag"]["outputs"]
    if key in inner.get("parameters", {}):
        selected = inner["parameters"][key]["valueFromParameter"]
        return f"{selected['producerSubtask']}.{selected['outputParameterKey']}"
    (selected,) = inner["artifacts"][key]["artifactSelectors"]
    return f"{selected['producerSubtask']}.{selected['outputArtifactKey']}"
