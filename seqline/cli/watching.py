"""Shows a run: its tasks while it runs, and its result."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from seqline.cli.tables import print_table
from seqline.cli.verbosity import verbosity
from seqline.targets.local_progress import update
from seqline.targets.target import ENDED, Run, Task

MARKS = {
    "pending": "[dim]·[/]",
    "running": "…",
    "succeeded": "[green]✓[/]",
    "cached": "[cyan]≡[/]",
    "skipped": "[dim]-[/]",
    "failed": "[red]✗[/]",
    "cancelled": "[yellow]✗[/]",
}


class Watch:
    """A table of tasks on a terminal, updated as they run; elsewhere, a line for each task that ends.

    Attributes:
        console: The console to print to.
        names: Names of all tasks.
        run: The latest state of the run.
    """

    def __init__(self, console: Console, names: Sequence[str] = ()) -> None:
        self.console = console
        self.names = names
        self.run: Run | None = None
        self.shown: set[str] = set()
        self.live = (
            Live(console=console, get_renderable=self.table, refresh_per_second=4)
            if console.is_terminal and not verbosity.quiet
            else None
        )

    def __enter__(self) -> "Watch":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, run: Run) -> None:
        """Updates the run."""
        self.run = run
        for task in run.tasks:
            # On Vertex a task from the cache has no job, and so no id.
            key = task.id or task.name
            if task.state in ENDED and key not in self.shown:
                self.shown.add(key)
                if not self.live and not verbosity.quiet:
                    line = f"{task.name:<22} {task.state:<10} {task.seconds:7.1f} s  {task.metric}"
                    self.console.print(line.rstrip(), soft_wrap=True, markup=False)

    def table(self) -> Table:
        """Returns the table of all tasks."""
        if self.run is None:
            return Table(box=None)
        if self.run.target == "laptop":
            update(self.run)  # between two changes of the run, too
        known = {task.name for task in self.run.tasks}
        waiting = [] if self.run.ended else [Task(name) for name in self.names if name not in known]
        return tasks_table(replace(self.run, tasks=[*self.run.tasks, *waiting]))


def tasks_table(run: Run) -> Table:
    """Returns a table of a run's tasks with state, time and key metric.

    Args:
        run: The run.
    """
    table = Table("", "stage", "state", "time", "", box=None, header_style="dim")
    for task in run.tasks:
        said = task.metric or str(task.progress or "")
        table.add_row(MARKS[task.state], task.name, task.state, shown_time(task), escape(said))
    return table


def shown_time(task: Task) -> str:
    """Returns how long a task took, or takes until now; empty if it has not started.

    Args:
        task: The task.
    """
    seconds = task.seconds or (time.time() - task.started if task.started and task.state == "running" else 0)
    return f"{seconds:.1f} s" if task.started else ""


def run_content(run: Run) -> dict[str, Any]:
    """Returns a run for JSON; on a laptop its tasks have fields of their own.

    Args:
        run: The run.
    """
    tasks = [{field.name: getattr(task, field.name) for field in fields(Task)} for task in run.tasks]
    return {**{field.name: getattr(run, field.name) for field in fields(Run)}, "tasks": tasks}


def show_run(run: Run, tasks_shown: bool = False) -> None:
    """Prints a run's state, tasks and addresses.

    Args:
        run: The run.
        tasks_shown: Whether its tasks are on the screen already, because it was watched.
    """
    print(f"{run.id}: {run.state}")
    tasks = [] if tasks_shown else run.tasks
    if tasks and sys.stdout.isatty():
        Console(file=sys.stdout, highlight=False).print(tasks_table(run))
    elif tasks:
        rows = [(task.name, task.state, shown_time(task), task.metric or task.progress or "") for task in tasks]
        print_table(("stage", "state", "time", "metric"), rows, "")
    report = Path(run.root) / "report.html" if run.root and "://" not in run.root else None
    root = f"Report: {report}" if report and report.exists() else run.root
    for line in filter(None, (run.error, run.console, root)):
        print(line)


def show_summary(console: Console, folder: Path) -> None:
    """Prints the result of a finished run.

    Args:
        console: The console to print to.
        folder: The run's folder.
    """
    file = folder / "summarize" / "summary" / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    # Batch and tuning decide nothing.
    if summary.get("decision"):
        _show_metrics(console, summary)
    for note in summary.get("notes") or []:
        console.print(note, soft_wrap=True, markup=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def _value(metric: Mapping[str, Any] | None) -> str:
    return f"{metric['value']:.2f}" if metric else "-"


def _show_metrics(console: Console, summary: dict[str, Any]) -> None:
    """Prints the summary of a training run."""
    challenger, champion = summary.get("metrics") or {}, summary.get("champion_metrics") or {}
    columns = ("metric", "challenger", *(["champion"] if champion else []))
    rows = [
        (name, f"{metric['value']:.2f}", *([_value(champion.get(name))] if champion else []))
        for name, metric in challenger.items()
    ]
    print_table(columns, rows, "no metrics", "Test set")
    for sentence in (summary.get("samples") or [])[:5]:
        console.print(f"  {escape(sentence['source'])}\n  [green]→ {escape(sentence['output'])}[/]", soft_wrap=True)
    decision, deployment = summary.get("decision") or {}, summary.get("deployment") or {}
    rules = decision.get("rules", [])
    if rules:
        passed = sum(rule["passed"] for rule in rules)
        console.print(f"\nGate: {passed} of {len(rules)} rules passed", soft_wrap=True)
    for rule in rules:
        console.print(f"  {'✓' if rule['passed'] else '✗'} {rule['reason']}", soft_wrap=True, markup=False)
    if not decision.get("blessed"):
        console.print("\n[yellow]Not deployed:[/] the challenger did not pass the gate", soft_wrap=True)
    elif deployment.get("live"):
        url = deployment["url"]
        console.print(f"\nLive: version {deployment['version']} at {url}", soft_wrap=True)
        text = summary["samples"][0]["source"].replace("'", "")
        body = json.dumps({"instances": [text]}, ensure_ascii=False)
        console.print(f"  curl -d '{body}' {url}", soft_wrap=True, markup=False)
