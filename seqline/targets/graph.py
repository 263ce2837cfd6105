"""The graph of a compiled pipeline: dependencies of tasks through groups and conditions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Node:
    """A task of the graph.

    Attributes:
        id: Its name in the spec.
        name: As the console shows it.
        after: Ids of the tasks that it directly depends on.
        conditional: Whether it runs only if a condition holds.
    """

    id: str
    name: str
    after: tuple[str, ...] = ()
    conditional: bool = False


@dataclass
class _Flat:
    """A graph without its groups."""

    names: dict[str, str] = field(default_factory=dict)
    after: dict[str, set[str]] = field(default_factory=dict)
    conditional: set[str] = field(default_factory=set)


def read_graph(spec: Path) -> list[Node]:
    """Reads the graph of a compiled pipeline.

    Args:
        spec: The compiled YAML.

    Returns:
        Its tasks in topological order, without dependencies that follow from others.
    """
    from seqline.schema.spec_files import read_documents

    document = next(read_documents(spec.read_text(encoding="utf-8")))
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
    """Adds a group's tasks, all of which depend on `above`.

    Returns:
        The tasks that no other task of the group depends on.
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


def _sorted(after: Mapping[str, Collection[str]]) -> list[str]:
    """Names in topological order, which is the same in every process."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, others in after.items():
        # Sets of texts have another order in every process.
        sorter.add(name, *sorted(other for other in others if other in after))
    return list(sorter.static_order())
