"""`seqline upload`: a compiled pipeline where the console and schedules find it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.options import (
    ConfigOption,
    JsonOption,
    PipelineOption,
    SetOption,
    TargetOption,
    pipeline_arguments,
    read_configuration,
)


def upload(
    tag: Annotated[
        list[str] | None, typer.Option(help="A name that is to point at this version; repeatable. It is moved.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="A compiled file to upload as it is.")] = None,
    target: TargetOption = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a pipeline as a template, with the configuration's values and --set as its defaults."""
    import tempfile
    from dataclasses import asdict

    from seqline.targets import open_target

    loaded = read_configuration(config, set_)
    configuration = loaded.configuration
    place = open_target(target or configuration.target, configuration)
    with tempfile.TemporaryDirectory() as folder:
        name = pipeline or configuration.pipeline
        path = spec or place.compile(name, Path(folder) / f"{name}.yaml", pipeline_arguments(loaded, name, place.name))
        template = place.upload(path, tag or ())
    if as_json:
        print(json.dumps(asdict(template), indent=1))
        return
    print(template.reference)
    for name in template.tags:
        print(f"tag {name}")
    if template.console:
        print(template.console)
