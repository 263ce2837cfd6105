"""The options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from seqline.configuration import Loaded

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        help="A configuration file; several are merged from left to right. By default seqline.yaml, if it is there.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A pipeline parameter, name=value, or a key of the file, a.b=value; repeatable."),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", "-t", help="laptop, kubeflow or vertex; by default what the configuration says."),
]
PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", "-p", help="Which pipeline; by default what the configuration says.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read_configuration(files: list[Path] | None, settings: list[str] | None) -> "Loaded":
    """Reads the configuration that `--config` and `--set` describe.

    Args:
        files: From `ConfigOption`.
        settings: From `SetOption`.

    Raises:
        ConfigurationError: With every problem.
    """
    from seqline.configuration import load

    return load(files or (), settings or ())


def pipeline_arguments(loaded: "Loaded", pipeline: str, target: str) -> dict[str, Any]:
    """The values that the configuration and `--set` give to a pipeline's parameters.

    Args:
        loaded: The configuration.
        pipeline: The pipeline's name.
        target: The target's name.

    Raises:
        UserError: If there is no such pipeline.
        ConfigurationError: With every value that a stage would refuse.
    """
    from seqline.compiling.compiler import parameters_of

    return loaded.arguments(parameters_of(pipeline), target, others=pipeline != loaded.configuration.pipeline)
