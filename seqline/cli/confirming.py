"""Asks before a command ends or removes something."""

import sys
from typing import Annotated

import typer

YesOption = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", envvar="SEQLINE_YES", help="Do not ask for confirmation; commands in scripts never ask."
    ),
]


def confirm(action: str, yes: bool) -> None:
    """Asks whether to go on, on a terminal; a script is not asked.

    Args:
        action: What happens, such as `delete the schedule nightly`.
        yes: Whether the user has agreed already.

    Raises:
        typer.Abort: If the answer is no.
    """
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"{action}?", abort=True, err=True)
