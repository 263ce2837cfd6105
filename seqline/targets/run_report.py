"""A laptop run's page: `report.html` in the run's folder, with the stages' own pages in `reports/`."""

import datetime
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.artifacts.run_summary import Summary, read_summary
from seqline.atomic import atomic_write
from seqline.buckets import upload
from seqline.errors import UserError
from seqline.html_report.page import duration, render
from seqline.metrics.headline import headline_of
from seqline.metrics.metrics import Labels
from seqline.targets.graph import Node
from seqline.targets.kfp_local import LocalTask
from seqline.targets.run_again import predict, run_again
from seqline.targets.target import Run, Task

FILE = "report.html"
WIDTH, HEIGHT, GAP_X, GAP_Y = 138, 50, 26, 22
REPORT = "report"
"""Name of the output that is a stage's main page; another page has its output's name in its file's."""
# Signs of the states, beside their colours.
SIGNS = {"succeeded": "✓", "cached": "=", "failed": "✗", "cancelled": "!", "running": "!"}
LINKS = re.compile("<!--links-->.*?<!--/links-->", re.DOTALL)
"""The part of a page for links to the run's other pages; see `seqline/html_report/page.html`."""


@dataclass(frozen=True)
class Box:
    """A task in the graph.

    Attributes:
        name: Its label.
        state: The task's state, which sets the colour.
        note: Wall time, below the name and after the state's sign.
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

    for name, page in task.outputs.items():
        if isinstance(page, dsl.HTML) and Path(page.path).is_file():
            upload(Path(page.path), report_of(task.run, task, name))


def report_of(folder: Path, task: Task, output: str = REPORT) -> Path:
    """The path of one of a task's own pages, which may not exist.

    Args:
        folder: The run's folder.
        task: The task.
        output: The output that the page is.
    """
    return folder / "reports" / f"{task.id}{'' if output == REPORT else f'.{output}'}.html"


def reports_of(folder: Path, task: Task) -> dict[str, str]:
    """Finds a task's own pages.

    Args:
        folder: The run's folder.
        task: The task.

    Returns:
        Their paths relative to the run's folder, by output; the main one first.
    """
    others = sorted(path.name.split(".")[1] for path in (folder / "reports").glob(f"{task.id}.*.html"))
    found = {output: report_of(folder, task, output) for output in (REPORT, *others)}
    return {output: f"reports/{path.name}" for output, path in found.items() if path.exists()}


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
    summary = _summary(run.folder)
    pages = {task.id: reports_of(run.folder, task) for task in run.tasks}
    endpoint = _page_of_endpoint(summary)
    page = render(
        Path(__file__).with_name("run_report.html"),
        run=run,
        summary=summary,
        headline=headline_of(summary.decision.task if summary.decision else "", summary.metrics) if summary else "",
        labels=Labels(),
        signs=SIGNS,
        results=[(task.name, task.metric) for task in run.tasks if task.metric and task.name != "summarize"][-4:],
        parameters=list(_flat(run.parameters)),
        again=run_again(run),
        page_of_endpoint=endpoint,
        predict=predict(run, summary.samples[0].source if summary and summary.samples else "text"),
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
        pages=pages,
        logs={task.id: f"logs/{task.id}.log" for task in run.tasks if (logs / f"{task.id}.log").exists()},
        cached=sum(task.state == "cached" for task in run.tasks),
        started=datetime.datetime.fromtimestamp(run.created).astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )
    atomic_write(run.folder / FILE, page)
    _link_pages(run, pages, endpoint)
    return run.folder / FILE


def _flat(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parameters with each option of a section on its own."""
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, value


def _page_of_endpoint(summary: Summary | None) -> str:
    """The address of the endpoint's page; empty if nothing was deployed."""
    url = str((summary.deployment or {}).get("url", "")) if summary else ""
    return f"{url.partition('/v1/')[0]}/" if url else ""


def _link_pages(run: Run, pages: dict[str, dict[str, str]], endpoint: str) -> None:
    """Writes links to the run, its other pages and its endpoint into each stage's page, and its task into the title."""
    entries = [(f"Run {run.id}", f"../{FILE}", "")]
    for task in run.tasks:
        for output, page in pages[task.id].items():
            name = task.name if output == REPORT else f"{task.name}: {output}"
            entries.append((name, Path(page).name, page))
    entries += [("Endpoint", endpoint, "")] if endpoint else []
    for title, _, page in entries:
        if not page:
            continue
        links = "".join(
            f"<strong>{html.escape(name)}</strong>" if here == page else f'<a href="{address}">{html.escape(name)}</a>'
            for name, address, here in ((name, html.escape(address), here) for name, address, here in entries)
        )
        nav = f'<!--links--><nav class="links" aria-label="Pages of this run">{links}</nav><!--/links-->'
        path = run.folder / page
        text = LINKS.sub(nav.replace("\\", r"\\"), path.read_text(encoding="utf-8"), count=1)
        # A stage may run more than once; its pages would have one title.
        start = f"<title>{html.escape(title)}: "
        atomic_write(path, text if start in text else text.replace("<title>", start, 1))


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
