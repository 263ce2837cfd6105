"""The command `seqline`.

A command's module imports only the standard library, typer and `seqline.errors` at module level, and reads no
environment variable then, so that `--help` is fast; a test enforces both. `exit_codes` lists the exit codes.
"""

import sys
import traceback
from typing import Annotated

import typer
from typer.main import get_command

from seqline.cli import endpoint, feedback, images, rate, runs, schedule, trigger
from seqline.cli.check import check
from seqline.cli.check_artifact import check_artifact
from seqline.cli.compile import compile_
from seqline.cli.completion import completion
from seqline.cli.demo import demo
from seqline.cli.doctor import doctor
from seqline.cli.eject import eject
from seqline.cli.examples import conventional_help
from seqline.cli.exit_codes import ExitCode, exit_code
from seqline.cli.explain import explain
from seqline.cli.init import init
from seqline.cli.predict import predict
from seqline.cli.preflight import preflight
from seqline.cli.promote import promote
from seqline.cli.run import run
from seqline.cli.sample import sample
from seqline.cli.upload import upload
from seqline.cli.verbosity import set_verbosity, without_flags
from seqline.errors import UserError
from seqline.vertex_api.first_contact import COMMAND_SECONDS, first_contact

app = typer.Typer(
    name="seqline",
    help="From raw text pairs to a live text-in text-out endpoint, retrained on a schedule.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: Rich takes three times as long to import as everything else.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(explain)
app.command(name="compile")(compile_)
app.command()(eject)
app.command(name="check-artifact")(check_artifact)
app.command()(run)
app.command()(upload)
app.command()(promote)
app.add_typer(runs.app, name="runs")
app.add_typer(schedule.app, name="schedule")
app.add_typer(trigger.app, name="trigger")
app.command()(preflight)
app.command()(predict)
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(feedback.app, name="feedback")
app.add_typer(images.app, name="images")
app.add_typer(rate.app, name="rate")
app.command()(sample)
app.command()(doctor)
app.command()(completion)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"seqline {version('seqline')} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            envvar="SEQLINE_VERBOSE",
            help="Show stack traces and debug messages; anywhere on the line.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            envvar="SEQLINE_QUIET",
            help="Show results and errors only, no progress; anywhere on the line.",
        ),
    ] = False,
) -> None:
    """From raw text pairs to a live text-in text-out endpoint, retrained on a schedule."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments after `seqline`; those of the process by default.

    Returns:
        The exit code, an `ExitCode` unless a shell completion sets another.
    """
    verbosity, arguments = without_flags(sys.argv[1:] if arguments is None else arguments)
    set_verbosity(verbosity)
    first_contact.seconds, first_contact.answered = COMMAND_SECONDS, False
    try:
        conventional_help(get_command(app))(arguments, prog_name="seqline")
    except UserError as error:
        if verbosity.verbose:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:
        if error.filename is None:
            raise
        if verbosity.verbose:
            traceback.print_exc()
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except SystemExit as done:
        # Typer exits after Ctrl-C without a message.
        if done.code == ExitCode.INTERRUPTED:
            print("interrupted; run the same command again to resume from the cached stages", file=sys.stderr)
        return int(done.code or ExitCode.DONE)
    finally:
        first_contact.seconds = 0.0
    return ExitCode.DONE
