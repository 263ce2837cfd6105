"""`seqline init`: writes a first configuration."""

import json
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, at_home
from seqline.errors import UserError

SCHEMA = "seqline.schema.json"


@examples("seqline init", "seqline init project.yaml", "seqline init --schema-only")
def init(
    output: Annotated[Path, typer.Argument(callback=at_home, help="The file to write.")] = Path("seqline.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    schema_only: Annotated[
        bool, typer.Option("--schema-only", help="Write only the JSON schema, after an upgrade.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a commented seqline.yaml and its JSON schema.

    Editors complete and check the file by the schema.
    """
    from seqline.atomic import atomic_write
    from seqline.configuration import schema

    if output.suffix not in {".yaml", ".yml"}:
        raise UserError(f"a configuration is a YAML file, so {output} must end in .yaml")
    if output.exists() and not (force or schema_only):
        raise UserError(f"{output} exists already; --force replaces it, --schema-only updates only the schema")
    described = json.dumps(schema.schema(), indent=1) + "\n"
    written = [output.with_name(SCHEMA)]
    atomic_write(written[0], described)
    if not schema_only:
        starter = Path(schema.__file__).with_name("starter.yaml")
        atomic_write(output, starter.read_text(encoding="utf-8"))
        written.append(output)
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        print(path)
