"""Options that several commands share; docs/cli.md lists their variables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.names import nearest
from seqline.paths import expanded

if TYPE_CHECKING:
    from seqline.configuration import Loaded


def at_home(given: Any) -> Any:
    """Replaces a ~ at the start of a path, or of several, where no shell did; the callback of an option.

    Args:
        given: One path, several, or None.
    """
    if isinstance(given, list | tuple):
        return [expanded(path) for path in given]
    return given and expanded(given)


def one_of(*choices: str) -> dict[str, Any]:
    """What makes an argument take one of a few words: as keywords of `typer.Argument`.

    Args:
        *choices: The words.
    """

    def check(given: str) -> str:
        if given not in choices:
            raise typer.BadParameter(f"there is no {given!r}; {nearest(given, choices)}")
        return given

    def complete(incomplete: str) -> list[str]:
        return [one for one in choices if one.startswith(incomplete)]

    return {"callback": check, "autocompletion": complete}


ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        envvar="SEQLINE_CONFIG",
        # Without a parser, typer separates the paths of a variable by colons.
        parser=Path,
        callback=at_home,
        metavar="FILE",
        help="A configuration file; several are merged from left to right. By default seqline.yaml, if it exists.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter (data=x), an option (training.epochs=5) or a key of the file (a.b=value); repeatable.",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        envvar="SEQLINE_TARGET",
        metavar="TARGET",
        help="laptop, kubeflow, vertex or a plugin's; the configuration's by default.",
    ),
]
PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        "-p",
        envvar="SEQLINE_PIPELINE",
        metavar="PIPELINE",
        help="training, batch, tuning, release, monitoring, a plugin's, MODULE:NAME or FILE.py; the configuration's by "
        "default.",
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="SEQLINE_HOME",
        callback=at_home,
        metavar="PATH",
        help="Folder of runs, caches and endpoints on a laptop; the configuration's by default.",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="SEQLINE_ENDPOINT",
        metavar="NAME",
        help="Name of a local endpoint, projects/P/locations/L/endpoints/NAME on Vertex, or kserve://NAMESPACE/NAME; "
        "by default the configuration's, or the only local one.",
    ),
]
ApiOption = Annotated[
    str,
    typer.Option(
        "--api-endpoint",
        envvar="SEQLINE_API_ENDPOINT",
        metavar="HOST",
        help="Host of the Vertex API; the region's own by default.",
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="SEQLINE_ADDRESS",
        metavar="ADDRESS",
        help="IP address or DNS name of a private endpoint on Vertex, in your network; or address of KServe's ingress "
        "gateway, such as http://10.0.0.1, where the endpoint's own name does not resolve.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", envvar="SEQLINE_JSON", help="Print JSON.")]


def read_configuration(files: list[Path] | None, settings: list[str] | None, home: Path | None = None) -> "Loaded":
    """Reads the configuration that `--config`, `--set` and `--home` select.

    Args:
        files: From `ConfigOption`.
        settings: From `SetOption`.
        home: From `HomeOption`.

    Raises:
        ConfigurationError: With every problem.
    """
    from seqline.configuration import load
    from seqline.configuration.reading import Flag

    flags = [] if home is None else [Flag.of("--home", home, f"targets.laptop.home={json.dumps(str(home))}")]
    return load(files or (), [*flags, *(settings or [])])


def pipeline_arguments(loaded: "Loaded", pipeline: str, target: str) -> dict[str, Any]:
    """Returns the values of a pipeline's parameters from the configuration and `--set`.

    Args:
        loaded: The configuration.
        pipeline: The pipeline's name.
        target: The target's name.

    Raises:
        UserError: If there is no such pipeline.
        ConfigurationError: With every unknown name and every value that a stage would reject.
    """
    from seqline.compiling.compiler import parameters_of

    return loaded.arguments(parameters_of(pipeline), target, others=pipeline != loaded.configuration.pipeline)
