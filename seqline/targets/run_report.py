"""A laptop run's page: `report.html` in the run's folder, with the stages' own pages in `reports/`."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from seqline.artifacts.run_summary import Summary, read_summary
from seqline.atomic import atomic_write
from seqline.buckets import upload
from seqline.errors import UserError
from seqline.html_report.page import duration, render
from seqline.targets.graph import Node
from seqline.targets.kfp_local import LocalTask
from seqline.targets.target import Run, Task

FILE = "report.html"
WIDTH, HEIGHT, GAP_X, GAP_Y = 138, 50, 26, 22


@dataclass(frozen=True)
class Box:
    """A task in the graph.

    Attributes:
        name: Its label.
        state: The task's state, which sets the colour.
        note: Wall time, below the name.
        x: Left edge.
        y: Upper edge.
        link: The stage's own page, relative to the report; empty if there is none.
        conditional: Whether its outline is dashed.
    """

    name: str
    state: str
    note: str
    x: float
    y: float
    link: str
    conditional: bool


@dataclass(frozen=True)
class Span:
    """A task on the timeline.

    Attributes:
        task: The task.
        left: Its start, as a fraction of the run's time.
        width: Its wall time, as a fraction of the run's.
    """

    task: Task
    left: float
    width: float


def copy_reports(task: LocalTask) -> None:
    """Copies a task's pages, cached or not, to the run's `reports/` with the suffix .html.

    Args:
        task: A task that has ended.
    """
    from kfp import dsl

    pages = [value for value in task.outputs.values() if isinstance(value, dsl.HTML)]
    for page in pages:
        if Path(page.path).is_file():
            upload(Path(page.path), report_of(task.run, task))


def report_of(folder: Path, task: Task) -> Path:
    """The path of a task's own page, which may not exist.

    Args:
        folder: The run's folder.
        task: The task.
    """
    return folder / "reports" / f"{task.id}.html"


def write_report(run: Run, graph: list[Node]) -> Path:
    """Writes the page of a run that has ended.

    Args:
        run: The run.
        graph: Its pipeline's tasks.

    Returns:
        The page's path.
    """
    boxes, edges = lay_out(run, graph)
    logs = run.folder / "logs"
    total = max(run.seconds, 1e-3)
    page = render(
        Path(__file__).with_name("run_report.html"),
        run=run,
        summary=_summary(run.folder),
        boxes=boxes,
        edges=edges,
        width=max((box.x for box in boxes), default=0) + WIDTH + 2,
        height=max((box.y for box in boxes), default=0) + HEIGHT + 2,
        size=(WIDTH, HEIGHT),
        spans=[
            Span(task, max(0.0, (task.started - run.created) / total), task.seconds / total)
            for task in run.tasks
            if task.started
        ],
        pages={task.id: f"reports/{task.id}.html" for task in run.tasks if report_of(run.folder, task).exists()},
        logs={task.id: f"logs/{task.id}.log" for task in run.tasks if (logs / f"{task.id}.log").exists()},
        cached=sum(task.state == "cached" for task in run.tasks),
        started=datetime.datetime.fromtimestamp(run.created).astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )
    atomic_write(run.folder / FILE, page)
    return run.folder / FILE


def lay_out(run: Run, graph: list[Node]) -> tuple[list[Box], list[tuple[Box, Box]]]:
    """Lays a graph out from left to right: a task is one column after the last task that it depends on.

    Args:
        run: The run, for states and times. A task that did not run was skipped, or not reached.
        graph: In topological order.

    Returns:
        Boxes and the lines between them.
    """
    columns: dict[str, int] = {}
    for node in graph:
        columns[node.id] = max((columns[other] + 1 for other in node.after), default=0)
    stacks: dict[int, list[Node]] = {}
    for node in graph:
        stacks.setdefault(columns[node.id], []).append(node)
    tallest = max(map(len, stacks.values()), default=1)
    rows: dict[str, float] = {}
    for _, stack in sorted(stacks.items()):
        for index, node in enumerate(stack):
            before = [rows[other] for other in node.after]
            # Alone in its column, a task is level with those that it depends on.
            level = sum(before) / len(before) if before else (tallest - 1) / 2
            rows[node.id] = level if len(stack) == 1 else index + (tallest - len(stack)) / 2
    done = {task.id: task for task in run.tasks}
    missing = "skipped" if run.state == "succeeded" else "pending"
    boxes = {}
    for node in graph:
        task = done.get(node.id)
        page = report_of(run.folder, task) if task else None
        boxes[node.id] = Box(
            name=node.name,
            state=task.state if task else missing,
            note=duration(task.seconds) if task else ("skipped" if missing == "skipped" else "not reached"),
            x=1 + columns[node.id] * (WIDTH + GAP_X),
            y=1 + rows[node.id] * (HEIGHT + GAP_Y),
            link=f"reports/{node.id}.html" if page and page.exists() else "",
            conditional=node.conditional,
        )
    return list(boxes.values()), [(boxes[other], boxes[node.id]) for node in graph for other in node.after]


def _summary(folder: Path) -> Summary | None:
    """The summary of the summarize stage, if it ran."""
    try:
        return read_summary(folder / "summarize" / "summary")
    except UserError:
        return None
