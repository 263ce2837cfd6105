"""`seqline compile`: the spec that a target runs."""

from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.options import ConfigOption, PipelineOption, SetOption, TargetOption, read_configuration


def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")],
    target: TargetOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write the spec that a target runs. The same configuration gives the same bytes on every machine."""
    from seqline.targets import open_target

    configuration = read_configuration(config, set_).configuration
    place = open_target(target or configuration.target, configuration)
    print(place.compile(pipeline or configuration.pipeline, output))
