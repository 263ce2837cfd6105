"""`seqline run`: a pipeline on the laptop, watched."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from components.errors import UserError

MARKS = {"running": "…", "succeeded": "[green]✓[/]", "cached": "[cyan]≡[/]", "failed": "[red]✗[/]"}


def run(
    data: Annotated[
        str,
        typer.Option(help="Source and target pairs: TSV or JSONL; a path, a glob or several with commas."),
    ],
    endpoint: Annotated[str, typer.Option(help="Name of the local endpoint.")] = "seqline",
    port: Annotated[int, typer.Option(help="Port of the local endpoint.")] = 8501,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A pipeline parameter, name=value; repeatable.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="A compiled pipeline to run as it is.")] = None,
    home: Annotated[Path, typer.Option(help="Folder of runs, caches and endpoints.")] = Path(".seqline"),
    cache: Annotated[bool, typer.Option(help="Take unchanged stages from the cache.")] = True,
) -> None:
    """Run the training pipeline here, from the data to a live endpoint."""
    from pipelines.compiling import compile_pipeline
    from pipelines.parameters import read_parameters
    from pipelines.targets.laptop import Home
    from pipelines.targets.laptop import run as run_on_laptop

    places = Home(home.resolve())
    spec = spec or compile_pipeline("training", home / "specs" / "training.yaml")
    parameters = read_parameters(spec)
    arguments: dict[str, Any] = {
        "data": ",".join(str(Path(part).resolve()) if "://" not in part else part for part in data.split(",")),
        "endpoint": str(places.endpoint(endpoint)),
        "port": port,
        "checkpoints": str(places.checkpoints),
        **dict(parameters.parse(setting) for setting in set_ or []),
    }
    check_port(places.endpoint(endpoint), port)
    # Bound to this stdout: while the stages run, kfp's own chatter on sys.stdout is swallowed.
    console = Console(file=sys.stdout, highlight=False)
    watch = Watch(console)
    with watch:
        result = run_on_laptop(spec, arguments, places, cache, watch.show)
    if result.error:
        raise UserError(f"{result.error}\nlogs of the run: {result.folder / 'logs'}")
    show_summary(console, result.folder)


def check_port(endpoint: Path, port: int) -> None:
    """Says that a port is in use before the run spends minutes on the stages ahead of deploy.

    Args:
        endpoint: The local endpoint's folder.
        port: The port it is to listen on.

    Raises:
        UserError: If another program listens there.
    """
    import socket

    from components.serve.endpoint import is_running

    if endpoint.exists() and is_running(endpoint):
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"port {port} is in use by another program; choose another with --port, or stop that program"
            ) from None


class Watch:
    """The table of stages: redrawn in place on a terminal, one line a stage elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.tasks: list[Any] = []
        self.live = (
            Live(console=console, get_renderable=self.table, refresh_per_second=4) if console.is_terminal else None
        )

    def __enter__(self) -> "Watch":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, task: Any) -> None:
        """Takes note of a task that started or ended."""
        if task not in self.tasks:
            self.tasks.append(task)
        elif not self.live:
            self.console.print(f"{task.name:<22} {task.state:<10} {task.seconds:7.1f} s")

    def table(self) -> Table:
        """The stages so far."""
        import time

        table = Table("", "stage", "state", "time", box=None, header_style="dim")
        for task in self.tasks:
            seconds = task.seconds or time.time() - task.started
            table.add_row(MARKS[task.state], task.name, task.state, f"{seconds:.1f} s")
        return table


def show_summary(console: Console, folder: Path) -> None:
    """Prints what a finished run came to.

    Args:
        console: Where to.
        folder: The run's folder.
    """
    summary = json.loads((folder / "summarize" / "summary" / "summary.json").read_text(encoding="utf-8"))
    challenger, champion = summary.get("metrics") or {}, summary.get("champion_metrics") or {}
    table = Table("metric", "challenger", *(["champion"] if champion else []), title="Test text", title_justify="left")
    for name, metric in challenger.items():
        table.add_row(name, f"{metric['value']:.2f}", *([f"{champion[name]['value']:.2f}"] if name in champion else []))
    console.print(table)
    for sentence in (summary.get("samples") or [])[:5]:
        console.print(f"  {sentence['source']}\n  [green]→ {sentence['output']}[/]")
    decision, deployment = summary.get("decision") or {}, summary.get("deployment") or {}
    if not decision.get("blessed"):
        console.print("\n[yellow]Not deployed:[/] the challenger was not blessed")
        for rule in decision.get("rules", []):
            if not rule["passed"]:
                console.print(f"  {rule['reason']}")
    elif deployment.get("live"):
        url = deployment["url"]
        console.print(f"\nLive: version {deployment['version']} at {url}")
        text = summary["samples"][0]["source"].replace("'", "")
        body = json.dumps({"instances": [text]}, ensure_ascii=False)
        console.print(f"  curl -d '{body}' {url}", soft_wrap=True, markup=False)
    console.print(f"Report: {folder / 'summarize' / 'report'}", soft_wrap=True)
