"""`seqline check-artifact`: checks what another program wrote against Seqline's contracts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, at_home, one_of
from seqline.errors import UserError

KINDS = ("model", "checkpoint", "corpus")


@examples("seqline check-artifact model my_model", "seqline check-artifact corpus my_corpus --json")
def check_artifact(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="model, checkpoint or corpus.", **one_of(*KINDS))],
    folder: Annotated[Path, typer.Argument(callback=at_home, metavar="DIR", help="The artifact's folder.")],
    as_json: JsonOption = False,
) -> None:
    """List what is wrong with an artifact.

    An artifact is a model, a checkpoint or a corpus. A model is a SavedModel from text to text, which is loaded and
    called in a fresh process.
    """
    from seqline.checking.artifacts import check_artifact as find

    problems = find(kind, folder)
    if as_json:
        print_json({"kind": kind, "folder": str(folder), "problems": problems})
    for problem in [] if as_json else problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        raise UserError(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    if not as_json:
        print(f"{folder}: a {kind} that Seqline can use")
