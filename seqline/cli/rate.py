"""`seqline rate`: blind human comparison of challenger and champion, as metrics for the gate."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.choosing import home_of
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, HomeOption, JsonOption, at_home
from seqline.errors import UserError
from seqline.paths import expanded

app = typer.Typer(help="Compare two models in a blind human evaluation.", no_args_is_help=True)


@app.command()
@examples(
    "seqline rate sheet --output sheet.html",
    "seqline rate sheet gs://my-bucket/runs/RUN/bless/decision --sentences 200",
)
def sheet(
    decision: Annotated[
        str, typer.Argument(help="Folder or gs:// address of a run's decision; by default the newest local run's.")
    ] = "",
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            callback=at_home,
            metavar="FILE",
            help="HTML page to write; its key goes to the same folder.",
        ),
    ] = Path("sheet.html"),
    sentences: Annotated[int, typer.Option(metavar="N", help="Maximum number of pairs.", min=1)] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the sample, its order, and the sides.")] = 1,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page for raters, and the key to their ratings."""
    from seqline.artifacts.decision import read_decision
    from seqline.human_evaluation.sheet import key_of, write_sheet

    if output.suffix != ".html":
        raise UserError(f"{output} must end in .html: a sheet is an HTML page")
    with _local(decision or str(_newest(home_of(home, config))), ["decision.json"]) as folder:
        found = read_decision(folder)
    if found.champion is None:
        raise UserError("the decision compares with no champion: " + (found.problem or "no other version was live"))
    files = ["evaluation.json", "sentences.jsonl"]
    with _local(found.evaluations[0], files) as challenger, _local(found.evaluations[1], files) as champion:
        key = write_sheet(challenger, champion, output, sentences, seed)
    if as_json:
        print_json({"sheet": output, "key": key_of(output), "pairs": len(key.sides), "identical_share": key.identical})
        return
    print(f"{output}: {len(key.sides)} pairs; the models agree on {key.identical:.0%} of the test sentences")
    print(f"Send raters {output.name} only: {key_of(output)} reveals which side is the challenger's.")
    print(f"Then: seqline rate import ratings-*.json --key {key_of(output)}")


@app.command(name="import")
@examples("seqline rate import ratings-anna.json ratings-ben.json --key sheet.key.json")
def import_(
    ratings: Annotated[
        list[Path], typer.Argument(callback=at_home, help="Files that raters downloaded, one per rater.")
    ],
    key: Annotated[Path, typer.Option(callback=at_home, metavar="PATH", help="The sheet's key.")] = Path(
        "sheet.key.json"
    ),
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=at_home, metavar="FILE", help="The file to write.")
    ] = Path("human.json"),
    as_json: JsonOption = False,
) -> None:
    """Compute raters' preference, with an interval, and their agreement."""
    from seqline.human_evaluation.ratings import import_ratings
    from seqline.human_evaluation.sheet import Key
    from seqline.metrics.metrics import METRICS

    found = import_ratings(ratings, Key.read(key))
    found.write(output)
    if as_json:
        print_json(found)
        return
    outcome = f"{found.won} won, {found.equal} equal, {found.lost} lost"
    print(f"Raters: {len(found.raters)}. Sentences: {found.sentences}. Comparisons: {outcome}.")
    for name, metric in found.metrics.items():
        print(f"{METRICS[name].label}: {metric.value:.2f}, 95% interval {metric.low:.2f} to {metric.high:.2f}")
    if "human_agreement" not in found.metrics:
        print("Raters' agreement: not available; it needs two raters of the same sentences, and ratings that differ")
    print(f"Run the pipeline with --set human_evaluation={output} to use them in the gate.")


def _newest(home: Path) -> Path:
    """Returns the newest decision of the runs on this machine."""
    found = sorted(home.glob("runs/*/bless/decision"), key=lambda folder: folder.stat().st_mtime)
    if not found:
        raise UserError(f"no run in {home} has a decision; pass a folder or gs:// address, or run the pipeline first")
    return found[-1]


@contextlib.contextmanager
def _local(address: str, files: list[str]) -> Iterator[Path]:
    """Yields a local folder with an artifact's files, copied from a bucket if necessary."""
    address = address.replace("/gcs/", "gs://", 1) if address.startswith("/gcs/") else address
    if "://" not in address:
        yield expanded(address)
        return
    import tempfile

    from seqline.inputs.storage import fsspec

    with tempfile.TemporaryDirectory(prefix="rate.") as folder:
        storage, root = fsspec.core.url_to_fs(address.rstrip("/"))
        try:
            for name in files:
                storage.get_file(f"{root}/{name}", f"{folder}/{name}")
        except FileNotFoundError as error:
            raise UserError(f"{address} is incomplete: {error}") from None
        yield Path(folder)
