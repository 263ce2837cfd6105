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
    """Make a pipeline a template of its target. The same bytes are the same version."""
    import tempfile
    from dataclasses import asdict

    from seqline.targets import open_target

    configuration = read_configuration(config, set_).configuration
    place = open_target(target or configuration.target, configuration)
    with tempfile.TemporaryDirectory() as folder:
        name = pipeline or configuration.pipeline
        path = spec or place.compile(name, Path(folder) / f"{name}.yaml")
        template = place.upload(path, tag or ())
    if as_json:
        print(json.dumps(asdict(template), indent=1))
        return
    print(template.reference)
    for name in template.tags:
        print(f"tag {name}")
    if template.console:
        print(template.console)
