"""The graph of a compiled pipeline: which task comes after which, through groups and conditions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Node:
    """A task of the graph.

    Attributes:
        id: Its name in the spec.
        name: As the console shows it.
        after: Ids of the tasks that it directly comes after.
        conditional: Whether it runs only if a condition holds.
    """

    id: str
    name: str
    after: tuple[str, ...] = ()
    conditional: bool = False


@dataclass
class _Flat:
    """A graph without its groups, while it is made."""

    names: dict[str, str] = field(default_factory=dict)
    after: dict[str, set[str]] = field(default_factory=dict)
    conditional: set[str] = field(default_factory=set)


def read_graph(spec: Path) -> list[Node]:
    """Reads the graph of a compiled pipeline.

    Args:
        spec: The compiled YAML.

    Returns:
        Its tasks, each after those that it depends on. A dependency that follows from others is left out.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = next(yaml.load_all(spec.read_text(encoding="utf-8"), Loader=loader))
    flat = _Flat()
    _flatten(document["root"]["dag"]["tasks"], document.get("components", {}), flat, set(), False)
    above: dict[str, set[str]] = {}
    order = _sorted(flat.after)
    for task in order:
        above[task] = flat.after[task].union(*(above[other] for other in flat.after[task]))
    nodes = []
    for task in order:
        implied: set[str] = set().union(*(above[other] for other in flat.after[task]))
        direct = tuple(sorted(flat.after[task] - implied, key=order.index))
        nodes.append(Node(task, flat.names[task], direct, task in flat.conditional))
    return nodes


def _flatten(
    tasks: Mapping[str, Any], components: Mapping[str, Any], flat: _Flat, above: set[str], conditional: bool
) -> set[str]:
    """Adds a group's tasks, all of them after `above`.

    Returns:
        The tasks that nothing in the group comes after.
    """
    last: dict[str, set[str]] = {}
    for name in _sorted({name: set(task.get("dependentTasks", ())) for name, task in tasks.items()}):
        task = tasks[name]
        before: set[str] = set().union(*(last[other] for other in task.get("dependentTasks", ()))) or above
        inner = components.get(task["componentRef"]["name"], {}).get("dag")
        condition = conditional or bool(task.get("triggerPolicy", {}).get("condition"))
        if inner:
            last[name] = _flatten(inner["tasks"], components, flat, before, condition) or before
            continue
        flat.names[name] = task.get("taskInfo", {}).get("name", name)
        flat.after[name] = before
        if condition:
            flat.conditional.add(name)
        last[name] = {name}
    ends = set().union(*last.values()) if last else set()
    return ends - set().union(*(flat.after.get(task, set()) for task in ends))


def _sorted(after: Mapping[str, Iterable[str]]) -> list[str]:
    """Names in an order in which each comes after those it depends on, and else in the order given."""
    order: list[str] = []
    waiting = list(after)
    while waiting:
        ready = next(name for name in waiting if all(other in order or other not in after for other in after[name]))
        order.append(ready)
        waiting.remove(ready)
    return order
