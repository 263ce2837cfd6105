"""`seqline explain`: says what a key, a parameter or an option means."""

from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption
from seqline.cli.tables import print_table


@examples("seqline explain training.learning_rate", "seqline explain targets.vertex")
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
    """Explain a key, a parameter or an option."""
    from seqline.configuration.explaining import explain as find

    found = find(key)
    if as_json:
        print_json(found)
        return
    print(found.path)
    if found.description:
        print(f"  {found.description}")
    rows = {"accepts": found.accepts, "default": "" if found.keys else found.default, "read by": found.reader}
    for name, value in rows.items():
        if value:
            print(f"  {name}: {value}")
    if found.keys:
        print()
        print_table(
            ("key", "accepts", "default", "description"),
            [(one.path, one.accepts, "" if one.keys else one.default, one.description) for one in found.keys],
            "",
        )
