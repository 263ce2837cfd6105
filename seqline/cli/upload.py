"""`seqline upload`: uploads a compiled pipeline for the console and for schedules."""

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


@examples("seqline upload --target vertex --tag live", "seqline upload --spec training.yaml --json")
def upload(
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag to move to this version; repeatable.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(callback=at_home, metavar="PATH", help="A compiled file to upload unchanged.")
    ] = None,
    target: TargetOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a pipeline as a template.

    The defaults of its parameters are the configuration's values and --set.
    """
    import tempfile

    from seqline.targets import open_target

    loaded = read_configuration(config, set_)
    configuration = loaded.configuration
    opened = open_target(target or configuration.target, configuration)
    with tempfile.TemporaryDirectory() as folder:
        name = pipeline or configuration.pipeline
        path = spec or opened.compile(
            name, Path(folder) / "pipeline.yaml", pipeline_arguments(loaded, name, opened.name)
        )
        template = opened.upload(path, tag or ())
    if as_json:
        print_json(template)
        return
    print(template.reference)
    for name in template.tags:
        print(f"tag {name}")
    if template.console:
        print(template.console)
