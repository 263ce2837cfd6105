"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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


ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        envvar="SEQLINE_CONFIG",
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
        metavar="PIPELINE",
        help="training, batch, tuning, release, a plugin's, MODULE:NAME or FILE.py; the configuration's by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read_configuration(files: list[Path] | None, settings: list[str] | None) -> "Loaded":
    """Reads the configuration that `--config` and `--set` select.

    Args:
        files: From `ConfigOption`.
        settings: From `SetOption`.

    Raises:
        ConfigurationError: With every problem.
    """
    from seqline.configuration import load

    return load(files or (), settings or ())


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
