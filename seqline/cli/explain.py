"""`seqline explain`: says what a key, a parameter or an option means."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from seqline.cli.options import JsonOption


def explain(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="Such as training.learning_rate, gate, data or targets.vertex.project.",
            show_default=False,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Explain a key of seqline.yaml, a parameter or an option.

    Examples:
      seqline explain training.learning_rate

      seqline explain targets.vertex
    """
    from seqline.configuration.explaining import explain as find

    found = find(key)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    print(found.path)
    if found.description:
        print(f"  {found.description}")
    rows = {"accepts": found.accepts, "default": "" if found.keys else found.default, "read by": found.reader}
    for name, value in rows.items():
        if value:
            print(f"  {name}: {value}")
    if found.keys:
        from seqline.cli.tables import print_table

        print()
        print_table(
            ("key", "accepts", "default", "description"),
            [(one.path, one.accepts, "" if one.keys else one.default, one.description) for one in found.keys],
            "",
        )
