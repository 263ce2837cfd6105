"""`seqline explain`: says what a key, a parameter or an option means."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption
from seqline.cli.tables import print_table

if TYPE_CHECKING:
    from seqline.configuration.explaining import Explanation


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
    rows = {"accepts": found.accepts, "default": _default(found), "read by": found.reader}
    for name, value in rows.items():
        if value:
            print(f"  {name}: {value}")
    if found.keys:
        print()
        print_table(
            ("key", "accepts", "default", "description"),
            [(one.path, one.accepts, _default(one), one.description) for one in found.keys],
            "",
        )


def _default(key: "Explanation") -> str:
    from seqline.schema.reference import WITH_PRESET

    if key.keys:
        return ""
    return f"{key.default}; {key.with_preset} {WITH_PRESET}" if key.with_preset else key.default
