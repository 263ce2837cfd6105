"""The digest of a compiled pipeline: what a reviewer reads of a change."""

import hashlib
import json
from typing import Any

import yaml

from tests.golden.tasks import Spec, Task, parameters_of, tasks_of
from tests.golden.variants import VARIANTS, compiled

HEADERS = {
    True: "The pipeline {pipeline}, the same on every target unless the configuration places its stages.",
    False: "The pipeline {pipeline} on {target}: what differs from {pipeline}.yaml.",
}


def digest(name: str) -> str:
    """The digest of a variant as YAML; that of a target holds what it changes in the portable spec.

    Args:
        name: A key of `VARIANTS`.
    """
    variant = VARIANTS[name]
    found, portable = summary(compiled(name)), name == variant.pipeline
    if not portable:
        found = changes(summary(compiled(variant.pipeline)), found)
    header = HEADERS[portable].format(pipeline=variant.pipeline, target=variant.target)
    text = yaml.dump(found, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# {header}\n# Written by `make golden`.\n{text}"


def summary(text: str) -> dict[str, Any]:
    """What the digest of a spec says.

    Args:
        text: The spec as YAML.
    """
    spec, *rest = yaml.load_all(text, yaml.CSafeLoader)
    kubernetes = rest[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if rest else {}
    return {
        "name": spec["pipelineInfo"]["name"],
        "spec": _sha256(text),
        "parameters": {
            key: f"{one['parameterType']} = {json.dumps(one.get('defaultValue'), ensure_ascii=False)}"
            for key, one in parameters_of(spec).items()
        },
        "tasks": {name: _task(task, kubernetes.get(task.label, {})) for name, task in tasks_of(spec).items()},
    }


def changes(before: Any, after: Any) -> Any:
    """What differs between two nested dictionaries.

    Args:
        before: A value.
        after: Another one.
    """
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    changed = {key: changes(before.get(key), value) for key, value in after.items() if before.get(key, ...) != value}
    return {**changed, **{key: "removed" for key in before if key not in after}}


def _task(task: Task, kubernetes: Spec) -> dict[str, Any]:
    """What the digest says of a task: nothing of parameters whose source has their own name."""
    container = task.executor.get("container", {})
    found = {
        "image": task.image or "importer",
        "source": _sha256(json.dumps([container.get("command"), container.get("args")])) if container else "",
        "cached": task.cached,
        "group": "/".join(task.groups),
        "condition": " and ".join(task.conditions),
        "trigger": "always" if task.always else "",
        "after": list(task.after),
        "retries": task.retries,
        # kfp writes each resource twice.
        "resources": {key: value for key, value in container.get("resources", {}).items() if key[:8] != "resource"},
        "kubernetes": kubernetes,
        "artifacts": task.artifacts,
        "parameters": {key: source for key, source in task.parameters.items() if key != source},
        "constants": task.constants,
        "defaults": {key: value for key, value in task.defaults.items() if value},
        "unset": [key for key, value in task.defaults.items() if not value],
    }
    return {key: _short(value) for key, value in found.items() if value or key == "cached"}


def _short(value: Any) -> Any:
    """Replaces programs, such as a stage's source among the arguments of a job, by their hash."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return _sha256(value) if isinstance(value, str) and "\n" in value else value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Writes lists of texts on one line, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, all(isinstance(one, str) for one in sequence))


_Dumper.add_representer(list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value))
