"""`seqline completion`: prints a shell's completion script."""

from enum import Enum
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption


class Shell(str, Enum):
    """Supported shells."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@examples("seqline completion bash > ~/.local/share/bash-completion/completions/seqline", "seqline completion zsh")
def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")], as_json: JsonOption = False) -> None:
    """Print a shell's completion script.

    `seqline --install-completion` installs it.
    """
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="seqline", complete_var="_SEQLINE_COMPLETE", shell=shell.value)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        print(script)
