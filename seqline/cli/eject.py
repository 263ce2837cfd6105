"""`seqline eject`: writes one of our own pipelines as a file to change."""

from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, at_home


@examples("seqline eject training", "seqline eject batch my_batch.py")
def eject(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="training, batch, tuning and so on.")],
    file: Annotated[
        Path | None,
        typer.Argument(callback=at_home, metavar="FILE", help="The file to write; PIPELINE.py by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a pipeline as a Python file to change.

    It compiles to the same spec: `seqline run --pipeline FILE`.
    """
    from seqline.atomic import atomic_write
    from seqline.compiling.sources import source_of
    from seqline.errors import UserError

    text = source_of(pipeline)
    path = file or Path(f"{pipeline}.py")
    if path.suffix != ".py":
        raise UserError(f"a pipeline is a Python file, so {path} must end in .py")
    if path.exists():
        raise UserError(f"{path} exists; write another file, or delete it")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} into; create it")
    atomic_write(path, text)
    if as_json:
        print_json({"pipeline": pipeline, "file": str(path)})
        return
    print(f"{path}: run it with `seqline run --pipeline {path}`")
