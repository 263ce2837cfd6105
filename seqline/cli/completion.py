"""`seqline completion`: prints a shell's completion script."""

from enum import Enum
from typing import Annotated

import typer


class Shell(str, Enum):
    """Supported shells."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print a shell's completion script.

    `seqline --install-completion` installs it.
    """
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="seqline", complete_var="_SEQLINE_COMPLETE", shell=shell.value))
