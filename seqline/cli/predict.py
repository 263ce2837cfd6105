"""`seqline predict`: sends texts to a live endpoint, local, on Vertex or on KServe."""

import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.choosing import choose
from seqline.cli.examples import examples
from seqline.cli.options import (
    AddressOption,
    ApiOption,
    ConfigOption,
    EndpointOption,
    HomeOption,
    TargetOption,
    at_home,
)
from seqline.cli.texts import Text, answered, read_texts
from seqline.errors import UnreachableError, UserError

if TYPE_CHECKING:
    from seqline.endpoints.back_end import BackEnd

BATCH = 64


@examples(
    'seqline predict "Good morning"',
    "seqline predict --file texts.txt --output translations.txt --endpoint translate",
    'seqline predict "Good morning" --set beam_size=8 --json',
)
def predict(
    text: Annotated[list[str] | None, typer.Argument(help="Texts; lines of standard input by default.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", callback=at_home, metavar="PATH", help="A file with one text per line."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=at_home, metavar="FILE", help="File for the predictions.")
    ] = None,
    endpoint: EndpointOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A decoding parameter, such as beam_size=8, sampling=true or temperature=0.7; repeatable.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", envvar="SEQLINE_JSON", help="Print JSON with scores, an object a line.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each answer while the model writes it, greedy or sampled.")
    ] = False,
    address: AddressOption = "",
    target: TargetOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Send texts to a live endpoint and print the predictions.

    Input lines end with LF. Each gives one line of output. If the endpoint rejects a text, its line is empty, and an
    error names it.
    """
    if stream and (as_json or output):
        raise UserError("--stream prints the answers as they arrive; omit --json and --output")
    chosen = choose(endpoint, home, config, target, api_endpoint, address)
    if not chosen.runs():
        raise UnreachableError(f"{chosen.address()} is not running; `seqline endpoint start` starts it")
    texts, parameters = read_texts(text, file), dict(_parameter(given) for given in set_ or [])
    failed = 0
    if stream:
        _stream(chosen, texts, parameters)
        return
    with _written(output) as out, _progress(len(texts), file is not None) as advance:
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            rows = answered(chosen, batch, parameters)
            failures = [row["error"] for row in rows if "error" in row]
            if len(texts) == len(failures):
                raise UserError(failures[0])
            for row in rows:
                # A line of the output for a line of the input, also where the answer holds a line break.
                answer = re.sub(r"[\r\n]+", " ", row.get("text", ""))
                print(json.dumps(row, ensure_ascii=False) if as_json else answer, file=out)
            for failure in failures:
                print(f"error: {failure}", file=sys.stderr)
            failed += len(failures)
            advance(len(batch))
    if failed:
        raise UserError(f"{failed} of {len(texts)} texts have no answer, see above; their lines are empty")


def _stream(chosen: "BackEnd", texts: list[Text], parameters: dict[str, Any]) -> None:
    """Prints the answers one after the other, each while it arrives."""
    from seqline.endpoints.back_end import RefusedError

    failed = 0
    for one in texts:
        problem = one.problem
        try:
            for piece in chosen.stream(one.text, parameters) if not problem else ():
                print(piece, end="", flush=True)
        except RefusedError as error:
            problem = f"the endpoint rejected it: {error}"
        print(flush=True)
        if problem:
            print(f"error: {one.where}: {problem}", file=sys.stderr)
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(texts)} texts have no answer, see above; their lines are empty")


def _parameter(given: str) -> tuple[str, Any]:
    from seqline.schema.texts import Text, parse

    name, _, text = given.partition("=")
    value = parse(Text(text))
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"--set {given}: write KEY=VALUE with a finite number, true or false, as in beam_size=8")
    return name, value


@contextlib.contextmanager
def _written(output: Path | None) -> Iterator[Any]:
    """Yields standard output, or a file that is written once all texts are predicted."""
    if output is None:
        yield sys.stdout
        return
    import io

    from seqline.atomic import atomic_write

    text = io.StringIO()
    yield text
    atomic_write(output, text.getvalue())


@contextlib.contextmanager
def _progress(total: int, wanted: bool) -> Iterator[Any]:
    """Yields the function that advances a progress bar; without a terminal it does nothing."""
    if not wanted or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
