"""`seqline run`: runs a pipeline on a target and follows it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import (
    ConfigOption,
    HomeOption,
    JsonOption,
    PipelineOption,
    SetOption,
    TargetOption,
    at_home,
    read_configuration,
)
from seqline.paths import expanded, local

if TYPE_CHECKING:
    from rich.console import Console

    from seqline.configuration import Loaded

NO_ENDPOINT = "none"


@examples(
    "seqline run --data pairs.tsv --endpoint translate",
    "seqline run --data pairs.tsv --endpoint none --set training.minutes=30",
    "seqline run --target vertex --estimate",
    "seqline run --pipeline batch --data texts.txt --set model=.seqline/endpoints/translate",
)
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
            envvar="SEQLINE_ENDPOINT",
            help="Endpoint of the model: a name on a laptop, elsewhere the value of the parameter endpoint; none to "
            "deploy to no endpoint.",
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
    home: HomeOption = None,
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
    as_json: JsonOption = False,
) -> None:
    """Run a pipeline and follow it to its end."""
    from seqline.checking.installed import require_installed
    from seqline.cli.costs import read_content, show_estimate, show_taken
    from seqline.cli.verbosity import verbosity
    from seqline.cli.watching import Watch, run_content, show_run, show_summary
    from seqline.targets import open_target
    from seqline.targets.graph import read_graph
    from seqline.targets.target import RunFailedError

    settings = _settings(target, set_, data, endpoint, port, config)
    loaded = read_configuration(config, settings, home)
    chosen, name = target or loaded.configuration.target, pipeline or loaded.configuration.pipeline
    opened = open_target(chosen, loaded.configuration)
    if chosen == "laptop":
        require_installed()
    spec = local(spec) if spec else str(opened.compile(name, _compiled(loaded, chosen, name)))
    others = name != loaded.configuration.pipeline
    known = opened.parameters(spec)
    if endpoint == NO_ENDPOINT and "endpoint" in known.types:
        loaded = read_configuration(config, ["endpoint=", *settings], home)
    arguments = loaded.arguments(known, chosen, others=others)
    # Bound to this stdout: while the stages run, kfp's own output on sys.stdout is discarded.
    console = _console(as_json)
    if estimate:
        show_estimate(opened, spec, arguments, prices, as_json)
        return
    if not watch and chosen != "laptop":
        result = opened.run(spec, arguments, cache)
        print_json(run_content(result)) if as_json else show_run(result)
        return
    names = [node.name for node in read_graph(Path(spec))] if Path(spec).is_file() else []
    with Watch(console, names) as watching:
        result = opened.run(spec, arguments, cache, watching.show)
    if as_json:
        print_json(run_content(result))
    elif chosen == "vertex":
        show_taken(read_content(opened, spec), result, prices)
    if result.state != "succeeded":
        logs = f"\nreport of the run: {result.folder / 'report.html'}" if chosen == "laptop" else f"\n{result.console}"
        raise RunFailedError(f"{result.error or f'the run was {result.state}'}{logs}")
    if chosen == "laptop" and not as_json:
        show_summary(console, result.folder)
    elif not as_json:
        show_run(result, tasks_shown=not verbosity.quiet)


def _settings(
    target: str | None,
    set_: list[str] | None,
    data: str | None,
    endpoint: str | None,
    port: int | None,
    config: list[Path] | None,
) -> list[str]:
    """Returns the flags in the form of `--set`; the user's own --set takes precedence."""
    from seqline.configuration.reading import Flag

    flags = [] if port is None else [Flag.of("--port", port, f"targets.laptop.port={port}")]
    if endpoint is not None and endpoint != NO_ENDPOINT:
        chosen = target or read_configuration(config, set_).configuration.target
        name = f"targets.laptop.endpoint={json.dumps(endpoint)}" if chosen == "laptop" else f"endpoint={endpoint}"
        flags.append(Flag.of("--endpoint", endpoint, name))
    if data is not None:
        flags.append(Flag.of("--data", data, f"data={data}"))
    return [*flags, *(set_ or [])]


def _compiled(loaded: "Loaded", target: str, pipeline: str) -> Path:
    """Returns the path of a run's spec."""
    from seqline.compiling.sources import spec_name

    name = spec_name(pipeline) if target == "laptop" else f"{spec_name(pipeline)}-{target}"
    return expanded(loaded.configuration.targets.laptop.home) / "specs" / f"{name}.yaml"


def _console(as_json: bool) -> "Console":
    from rich.console import Console

    return Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
