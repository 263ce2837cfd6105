"""`seqline runs`: runs of a target, including those from a console or a schedule."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.confirming import YesOption, confirm
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json, print_json_line
from seqline.cli.options import ConfigOption, HomeOption, JsonOption, TargetOption, read_configuration
from seqline.cli.tables import print_table

if TYPE_CHECKING:
    from seqline.targets.target import Run, Target

app = typer.Typer(help="List, describe, follow and cancel runs.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(help="ID of the run; latest for the newest.")]


@app.command("list")
@examples("seqline runs list", "seqline runs list --target vertex --pipeline seqline-training --limit 50 --json")
def list_(
    pipeline: Annotated[
        str, typer.Option(metavar="NAME", help="Only runs of this pipeline, by its name in the spec.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="Number of runs, at most.", min=1)] = 20,
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    found = _open(target, config, home).runs(pipeline, limit)
    if as_json:
        print_json(found)
        return
    import datetime

    rows = []
    for run in found:
        started = datetime.datetime.fromtimestamp(run.created).strftime("%Y-%m-%d %H:%M") if run.created else ""
        rows.append((run.id, run.pipeline, run.state, started, f"{run.seconds:.0f} s" if run.ended else ""))
    print_table(("run", "pipeline", "state", "started", "time"), rows, "no runs")


@app.command()
@examples("seqline runs describe latest", "seqline runs describe latest --json")
def describe(
    run: RunArgument = "latest",
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run with its tasks and, on Vertex, its cost."""
    opened = _open(target, config, home)
    _show(opened, opened.describe(run), as_json)


@app.command()
@examples("seqline runs watch latest --target vertex")
def watch(
    run: RunArgument = "latest",
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a run to its end, from any terminal.

    Exits with 3 if the run fails.
    """
    from rich.console import Console

    from seqline.cli.verbosity import verbosity
    from seqline.cli.watching import Watch
    from seqline.targets.target import RunFailedError

    opened = _open(target, config, home)
    with Watch(Console(file=sys.stderr if as_json else sys.stdout, highlight=False)) as watching:
        found = opened.watch(run, watching.show)
    _show(opened, found, as_json, tasks_shown=not verbosity.quiet)
    if found.state != "succeeded":
        raise RunFailedError(found.error or f"the run was {found.state}")


@app.command()
@examples(
    "seqline runs cancel latest", "seqline runs cancel seqline-training-20260801120000-1a2b --target vertex --yes"
)
def cancel(
    run: RunArgument,
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Request a run to stop; a run that has ended is unchanged."""
    from seqline.cli.watching import run_content

    opened = _open(target, config, home)
    found = opened.describe(run)
    if not found.ended:
        confirm(f"stop the run {found.id}", yes)
        found = opened.cancel(found.id)
    if as_json:
        print_json(run_content(found))
        return
    print(f"{found.id}: {found.state}")
    if found.console:
        print(found.console)


@app.command()
@examples("seqline runs logs latest --task train --follow")
def logs(
    run: RunArgument = "latest",
    task: Annotated[str, typer.Option(metavar="TASK", help="Only logs of this task.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new lines until the run ends.")] = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", envvar="SEQLINE_JSON", help="Print JSON, an object a line.")
    ] = False,
) -> None:
    """Print the logs of a run's tasks.

    Omits the lines in which KFP's executor logs its input, and records of progress. --verbose shows them.
    """
    from seqline.cli.log_lines import follow as following
    from seqline.cli.log_lines import of_stages
    from seqline.cli.verbosity import verbosity

    opened = _open(target, config, home)
    lines = following(opened, opened.describe(run).id, task) if follow else opened.logs(run, task)
    for line in lines if verbosity.verbose else of_stages(lines):
        if as_json:
            name, _, text = (task, "", line) if task else line.partition(": ")
            print_json_line({"task": name, "line": text})
        else:
            print(line, flush=follow)


def _open(target: str | None, config: Any, home: Path | None) -> "Target":
    from seqline.targets import open_target

    configuration = read_configuration(config, None, home).configuration
    return open_target(target or configuration.target, configuration)


def _show(opened: "Target", run: "Run", as_json: bool, tasks_shown: bool = False) -> None:
    from seqline.cli.costs import show_taken
    from seqline.cli.watching import run_content, show_run
    from seqline.targets.vertex import Vertex

    if as_json:
        print_json(run_content(run))
        return
    show_run(run, tasks_shown)
    if run.ended and isinstance(opened, Vertex):
        show_taken(opened.jobs.spec(run.id), run)
