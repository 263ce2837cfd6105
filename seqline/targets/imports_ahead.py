"""Modules of the stages that run in every run: a server imports them once, while the run itself starts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# A component of ours imports its stage within its function.
IMPORT = re.compile(r"^ +from (seqline\.components\.[\w.]+) import (.+)$", re.MULTILINE)


def imports_ahead(document: Mapping[str, Any]) -> list[str]:
    """The modules that the tasks that are never cached import, if they are stages of ours.

    Args:
        document: A compiled pipeline.
    """
    components = document.get("components", {})
    executors = document.get("deploymentSpec", {}).get("executors", {})
    found: dict[str, None] = {}
    for task in _tasks(document):
        component = components.get(task["componentRef"]["name"], {})
        if "dag" in component or task.get("cachingOptions", {}).get("enableCache"):
            continue
        container = executors.get(component.get("executorLabel"), {}).get("container", {})
        for word in container.get("command", []):
            found.update(dict.fromkeys(_modules(word)))
    return list(found)


def _tasks(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for component in (document["root"], *document.get("components", {}).values()):
        yield from component.get("dag", {}).get("tasks", {}).values()


def _modules(source: str) -> Iterator[str]:
    for module, names in IMPORT.findall(source):
        yield module
        # Modules, or else functions and classes, which the server passes over.
        yield from (f"{module}.{name.split()[0]}" for name in names.split(",") if name.strip().islower())
