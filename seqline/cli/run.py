"""`seqline run`: runs a pipeline on a target and follows it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqline.cli.options import ConfigOption, PipelineOption, SetOption, TargetOption, at_home, read_configuration
from seqline.paths import expanded, local

if TYPE_CHECKING:
    from rich.console import Console

    from seqline.configuration import Loaded


def run(
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Pairs of source and target: TSV, CSV, JSONL or Parquet; a path, a pattern or several with commas.",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Endpoint of the model: a name on a laptop, elsewhere the value of the parameter endpoint.",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="Port of the local endpoint.")] = None,
    target: TargetOption = None,
    pipeline: PipelineOption = None,
    set_: SetOption = None,
    config: ConfigOption = None,
    spec: Annotated[
        str | None,
        typer.Option(
            "--from-template",
            "--spec",
            metavar="TEMPLATE",
            help="A compiled file or an uploaded version to run unchanged.",
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(callback=at_home, metavar="PATH", help="Folder of runs, caches and endpoints on a laptop."),
    ] = None,
    cache: Annotated[bool | None, typer.Option(help="Whether results of unchanged stages come from the cache.")] = None,
    watch: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Show the time and cost of each stage, and start nothing.")
    ] = False,
    prices: Annotated[
        Path | None,
        typer.Option(
            callback=at_home, metavar="PATH", help="File of prices; by default Seqline's own, which has a date."
        ),
    ] = None,
) -> None:
    """Run a pipeline and follow it to its end."""
    from seqline.cli.costs import read_content, show_estimate, show_taken
    from seqline.cli.watching import Watch, show_run, show_summary
    from seqline.targets import open_target
    from seqline.targets.graph import read_graph
    from seqline.targets.target import RunFailedError

    settings = _settings(target, set_, data, endpoint, port, home, config)
    loaded = read_configuration(config, settings)
    chosen, name = target or loaded.configuration.target, pipeline or loaded.configuration.pipeline
    opened = open_target(chosen, loaded.configuration)
    spec = local(spec) if spec else str(opened.compile(name, _compiled(loaded, chosen, name)))
    others = name != loaded.configuration.pipeline
    arguments = loaded.arguments(opened.parameters(spec), chosen, others=others)
    # Bound to this stdout: while the stages run, kfp's own output on sys.stdout is discarded.
    console = _console()
    if estimate:
        show_estimate(console, opened, spec, arguments, prices)
        return
    if not watch and chosen != "laptop":
        show_run(console, opened.run(spec, arguments, cache))
        return
    names = [node.name for node in read_graph(Path(spec))] if Path(spec).is_file() else []
    with Watch(console, names) as watching:
        result = opened.run(spec, arguments, cache, watching.show)
    if chosen == "vertex":
        show_taken(console, read_content(opened, spec), result, prices)
    if result.state != "succeeded":
        logs = f"\nreport of the run: {result.folder / 'report.html'}" if chosen == "laptop" else f"\n{result.console}"
        raise RunFailedError(f"{result.error or f'the run was {result.state}'}{logs}")
    if chosen == "laptop":
        show_summary(console, result.folder)
    else:
        show_run(console, result)


def _settings(
    target: str | None,
    set_: list[str] | None,
    data: str | None,
    endpoint: str | None,
    port: int | None,
    home: Path | None,
    config: list[Path] | None,
) -> list[str]:
    """Returns the flags in the form of `--set`; the user's own --set takes precedence."""
    chosen = target or read_configuration(config, set_).configuration.target
    local = {"port": port, "home": None if home is None else str(home)}
    flags = {f"targets.laptop.{name}": value for name, value in local.items() if value is not None}
    if endpoint is not None:
        flags["targets.laptop.endpoint" if chosen == "laptop" else "endpoint"] = endpoint
    texts = [f"{name}={value if name == 'endpoint' else json.dumps(value)}" for name, value in flags.items()]
    return texts + ([] if data is None else [f"data={data}"]) + (set_ or [])


def _compiled(loaded: "Loaded", target: str, pipeline: str) -> Path:
    """Returns the path of a run's spec."""
    name = pipeline if target == "laptop" else f"{pipeline}-{target}"
    return expanded(loaded.configuration.targets.laptop.home) / "specs" / f"{name}.yaml"


def _console() -> "Console":
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)
