"""`seqline runs`: runs of a target, including those from a console or a schedule."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.options import ConfigOption, JsonOption, TargetOption, read_configuration

if TYPE_CHECKING:
    from seqline.targets.target import Run, Target

app = typer.Typer(help="List, describe, follow and cancel runs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(help="ID of the run; latest for the newest.")]


@app.command("list")
def list_(
    pipeline: Annotated[str, typer.Option(help="Only runs of this pipeline, by its name in the spec.")] = "",
    limit: Annotated[int, typer.Option(help="Number of runs, at most.", min=1)] = 20,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    found = _open(target, config).runs(pipeline, limit)
    if as_json:
        print(json.dumps([_content(run) for run in found], indent=1))
        return
    import datetime

    from rich.console import Console
    from rich.table import Table

    table = Table("run", "pipeline", "state", "started", "time", box=None, header_style="dim")
    for run in found:
        started = datetime.datetime.fromtimestamp(run.created).strftime("%Y-%m-%d %H:%M") if run.created else ""
        table.add_row(run.id, run.pipeline, run.state, started, f"{run.seconds:.0f} s" if run.ended else "")
    Console(file=sys.stdout, highlight=False).print(table if found else "no runs")


@app.command()
def describe(
    run: RunArgument = "latest",
    watch: Annotated[bool, typer.Option(help="Follow the run to its end.")] = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run with its tasks and, on Vertex, what it took.

    With --watch, exits with 3 if the run fails.
    """
    from rich.console import Console

    from seqline.cli.costs import show_taken
    from seqline.cli.watching import Watch, show_run
    from seqline.targets.target import RunFailedError
    from seqline.targets.vertex import Vertex

    opened = _open(target, config)
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
    if watch:
        with Watch(console) as watching:
            found = opened.watch(run, watching.show)
    else:
        found = opened.describe(run)
    if as_json:
        print(json.dumps(_content(found), indent=1))
    else:
        show_run(console, found)
        if found.ended and isinstance(opened, Vertex):
            show_taken(console, opened.jobs.spec(found.id), found)
    if watch and found.state != "succeeded":
        raise RunFailedError(found.error or f"the run was {found.state}")


@app.command()
def cancel(run: RunArgument, target: TargetOption = None, config: ConfigOption = None) -> None:
    """Request a run to stop; a run that has ended is unchanged."""
    found = _open(target, config).cancel(run)
    print(f"{found.id}: {found.state}")
    if found.console:
        print(found.console)


@app.command()
def logs(
    run: RunArgument = "latest",
    task: Annotated[str, typer.Option(help="Only logs of this task.")] = "",
    target: TargetOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the logs of a run's tasks."""
    for line in _open(target, config).logs(run, task):
        print(line)


def _open(target: str | None, config: Any) -> "Target":
    from seqline.targets import open_target

    configuration = read_configuration(config, None).configuration
    return open_target(target or configuration.target, configuration)


def _content(run: "Run") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(run)
