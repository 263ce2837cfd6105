"""`seqline completion`: what a shell needs to complete commands and options."""

from enum import Enum
from typing import Annotated

import typer


class Shell(str, Enum):
    """Shells that there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Which shell.")]) -> None:
    """Print a shell's completion script. `seqline --install-completion` installs it."""
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="seqline", complete_var="_SEQLINE_COMPLETE", shell=shell.value))
