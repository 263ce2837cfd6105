"""`seqline compile`: writes the spec that a target runs."""

from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import (
    ConfigOption,
    JsonOption,
    PipelineOption,
    SetOption,
    TargetOption,
    at_home,
    pipeline_arguments,
    read_configuration,
)


@examples(
    "seqline compile",
    "seqline compile --target vertex --output training.yaml --set training.preset=small --set training.epochs=3",
)
def compile_(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=at_home,
            metavar="FILE",
            help="The YAML file to write; PIPELINE.yaml by default.",
        ),
    ] = None,
    target: TargetOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the spec that a target runs.

    The defaults of its parameters are the configuration's values and --set.
    """
    from seqline.targets import open_target
    from seqline.targets.target import UnsupportedError

    loaded = read_configuration(config, set_)
    configuration = loaded.configuration
    opened, name = open_target(target or configuration.target, configuration), pipeline or configuration.pipeline
    file = output or Path(f"{Path(name.rpartition(':')[2]).stem}.yaml")
    path = opened.compile(name, file, pipeline_arguments(loaded, name, opened.name))
    if as_json:
        try:
            digest = opened.digest(str(path))
        except UnsupportedError:  # of a plugin's target without templates
            digest = ""
        print_json({"spec": path, "pipeline": name, "target": opened.name, "digest": digest})
    else:
        print(path)
