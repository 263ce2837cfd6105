"""`seqline feedback`: what people corrected, as training data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqline.cli.choosing import choose
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ApiOption, ConfigOption, EndpointOption, HomeOption, JsonOption, TargetOption, at_home
from seqline.errors import UserError

if TYPE_CHECKING:
    from datetime import datetime

app = typer.Typer(help="Export corrections and ratings of answers.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands, also while it has one."""


@app.command()
@examples("seqline feedback export corrections.tsv", "seqline feedback export corrections.jsonl --since 2026-01-31")
def export(
    output: Annotated[
        Path, typer.Argument(callback=at_home, help="File to write: .jsonl, with ids and versions, or .tsv.")
    ],
    endpoint: EndpointOption = None,
    folder: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Folder or bucket address of the samples; by default the endpoint's own."),
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Only corrections from this time on, such as 2026-01-31.")
    ] = "",
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Write the corrections as pairs for the next run.

    The parameter feedback of a run takes the file. Of several corrections of an answer the last one counts; corrections
    of answers whose texts are not known are left out.
    """
    from seqline.sampling.corrections import FORMATS, corrections, write_pairs

    if output.suffix not in FORMATS:
        raise UserError(f"{output} must end in {' or '.join(FORMATS)}")
    address = folder or choose(endpoint, home, config, target, api_endpoint).samples()
    if not address:
        raise UserError(
            "the endpoint's server accepts no feedback: set serving.sample_requests and deploy, or name the samples "
            "with --folder"
        )
    found = corrections(address, _time(since))
    for message in found.unread:
        print(f"warning: {message}", file=sys.stderr)
    for reason, count in sorted(found.left_out.items()):
        print(f"left out: {count} {reason}", file=sys.stderr)
    if not found.pairs:
        raise UserError(f"there is no correction in {address}, so nothing was written")
    write_pairs(output, found.pairs)
    if as_json:
        print_json({"file": str(output), "pairs": len(found.pairs), "left_out": dict(found.left_out)})
        return
    print(f"{output}: {len(found.pairs)} pairs")
    print(f"Train on them: seqline run --set feedback={output}")


def _time(given: str) -> "datetime | None":
    from datetime import datetime, timezone

    if not given:
        return None
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        raise UserError(
            f"--since {given!r} is not a time; write one such as 2026-01-31 or 2026-01-31T12:00:00+00:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
