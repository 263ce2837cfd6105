"""The command `seqline`. Heavy libraries are imported inside the commands, so that `--help` is quick."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from components.errors import UserError
from pipelines.cli import endpoint
from pipelines.cli.predict import predict
from pipelines.cli.run import run

app = typer.Typer(
    name="seqline",
    help="From raw text pairs to a live text-in text-out endpoint, retrained on a schedule.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(predict)
app.add_typer(endpoint.app, name="endpoint")


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(help="The file to write: .tsv or .jsonl.")] = Path("sample.tsv"),
    source: Annotated[str, typer.Option(help="CLDR locale of the source side.")] = "en",
    target: Annotated[str, typer.Option(help="CLDR locale of the target side.")] = "de",
    pairs: Annotated[int | None, typer.Option(help="How many pairs; the sample's own size by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the selection.")] = 1,
) -> None:
    """Write a parallel corpus made from Unicode CLDR: real translations, free to share."""
    from pipelines.sample import write_sample

    size = {} if pairs is None else {"pairs": pairs}
    print(write_sample(output, source, target, seed=seed, **size))


@app.command(name="compile")
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")],
    pipeline: Annotated[str, typer.Option(help="Which pipeline.")] = "training",
) -> None:
    """Compile a pipeline to the spec that the laptop, Kubeflow and Vertex run."""
    from pipelines.compiling import compile_pipeline

    print(compile_pipeline(pipeline, output))


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
        The exit code: 0; 1 after a message about bad input; 2 after a wrong flag; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, prog_name="seqline")
    except UserError as error:
        if {"-v", "--verbose"} & set(arguments):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues from the cached stages", file=sys.stderr)
        return 130
    except SystemExit as done:
        return int(done.code or 0)
    return 0
