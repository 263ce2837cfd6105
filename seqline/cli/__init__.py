"""The command `seqline`.

A command's module imports the standard library, typer and `seqline.errors` at module level, and everything else
inside its functions, so that `--help` is quick; a test holds them to that. Exit codes:

0    done
1    bad input or a wrong configuration; nothing was started
2    a wrong flag or command
3    a run was started and failed, or was cancelled
4    a service does not answer, or does not let this caller in
130  interrupted with Ctrl-C
"""

import sys
from typing import Annotated

import typer

from seqline.cli import endpoint, images, rate, runs, schedule
from seqline.cli.check import check
from seqline.cli.compile import compile_
from seqline.cli.completion import completion
from seqline.cli.doctor import doctor
from seqline.cli.init import init
from seqline.cli.predict import predict
from seqline.cli.preflight import preflight
from seqline.cli.run import run
from seqline.cli.sample import sample
from seqline.cli.upload import upload
from seqline.errors import UserError

app = typer.Typer(
    name="seqline",
    help="From raw text pairs to a live text-in text-out endpoint, retrained on a schedule.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: Rich's takes three times as long to import as all the rest.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command()(init)
app.command()(check)
app.command(name="compile")(compile_)
app.command()(run)
app.command()(upload)
app.add_typer(runs.app, name="runs")
app.add_typer(schedule.app, name="schedule")
app.command()(preflight)
app.command()(predict)
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(images.app, name="images")
app.add_typer(rate.app, name="rate")
app.command()(sample)
app.command()(doctor)
app.command()(completion)


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show stack traces.")] = False,
) -> None:
    """From raw text pairs to a live text-in text-out endpoint, retrained on a schedule."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The words after `seqline`; those of the process by default.

    Returns:
        The exit code; the module's docstring says which.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, prog_name="seqline")
    except UserError as error:
        if {"-v", "--verbose"} & set(arguments):
            raise
        from seqline.targets.target import RunFailedError, UnreachableError

        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, RunFailedError) else 4 if isinstance(error, UnreachableError) else 1
    except SystemExit as done:
        # Typer ends so after Ctrl-C too, and says nothing.
        if done.code == 130:
            print("interrupted; the same command continues from the cached stages", file=sys.stderr)
        return int(done.code or 0)
    return 0
