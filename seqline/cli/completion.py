"""`seqline completion`: prints a shell's completion script."""

from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, one_of

SHELLS = ("bash", "zsh", "fish")


@examples("seqline completion bash > ~/.local/share/bash-completion/completions/seqline", "seqline completion zsh")
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", **one_of(*SHELLS))],
    as_json: JsonOption = False,
) -> None:
    """Print a shell's completion script.

    `seqline --install-completion` installs it.
    """
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="seqline", complete_var="_SEQLINE_COMPLETE", shell=shell)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        print(script)
