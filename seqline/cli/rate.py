"""`seqline rate`: people compare challenger and champion, blind, and the gate hears of it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.endpoint import HomeOption
from seqline.errors import UserError

app = typer.Typer(help="Have people compare challenger and champion, blind.", no_args_is_help=True)


@app.command()
def sheet(
    decision: Annotated[
        str, typer.Argument(help="Folder or gs:// address of a run's decision; by default the newest run's here.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write; its key goes beside it.")] = Path(
        "sheet.html"
    ),
    sentences: Annotated[int, typer.Option(help="Most pairs on it.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Decides which sentences, their order and their sides.")] = 1,
    home: HomeOption = Path(".seqline"),
) -> None:
    """Write a page on which raters compare two models' outputs, and the key that says which is whose."""
    from seqline.artifacts.decision import read_decision
    from seqline.human_evaluation.sheet import key_of, write_sheet

    if output.suffix != ".html":
        raise UserError(f"a sheet is an HTML page, so {output} must end in .html")
    with _here(decision or str(_newest(home)), ["decision.json"]) as folder:
        found = read_decision(folder)
    if found.champion is None:
        raise UserError("the decision compares with no champion: " + (found.problem or "no other version was live"))
    files = ["evaluation.json", "sentences.jsonl"]
    with _here(found.evaluations[0], files) as challenger, _here(found.evaluations[1], files) as champion:
        key = write_sheet(challenger, champion, output, sentences, seed)
    print(f"{output}: {len(key.sides)} pairs; on {key.identical:.0%} of the test sentences both models say the same")
    print(f"Give raters {output.name} alone: {key_of(output)} tells which side is whose.")
    print(f"Then: seqline rate import ratings-*.json --key {key_of(output)}")


@app.command(name="import")
def import_(
    ratings: Annotated[list[Path], typer.Argument(help="Files that raters downloaded, one a rater.")],
    key: Annotated[Path, typer.Option(help="The sheet's key.")] = Path("sheet.key.json"),
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("human.json"),
) -> None:
    """Read raters' files: their preference with an interval, and their agreement."""
    from seqline.atomic import atomic_write
    from seqline.human_evaluation.ratings import import_ratings
    from seqline.human_evaluation.sheet import read_key
    from seqline.metrics.metrics import METRICS

    found = import_ratings(ratings, read_key(key))
    atomic_write(output, found.to_json())
    outcome = f"{found.won} won, {found.equal} equal, {found.lost} lost"
    print(f"Raters: {len(found.raters)}. Sentences: {found.sentences}. Comparisons: {outcome}.")
    for name, figure in found.metrics.items():
        print(f"{METRICS[name].label}: {figure.value:.2f}, 95% interval {figure.low:.2f} to {figure.high:.2f}")
    if "human_agreement" not in found.metrics:
        print("Raters' agreement: not available; two who rated the same, and not all alike, are needed")
    print(f"Run the pipeline again with --set human={output}: cached stages stay, and the gate's rules hear of it.")


def _newest(home: Path) -> Path:
    """The decision of the newest run on this machine that made one."""
    found = sorted(home.glob("runs/*/bless/decision"), key=lambda folder: folder.stat().st_mtime)
    if not found:
        raise UserError(f"no run in {home} has a decision; name one, a folder or gs://, or run the pipeline first")
    return found[-1]


@contextlib.contextmanager
def _here(place: str, files: list[str]) -> Iterator[Path]:
    """A folder with an artifact's files, copied from a bucket where they are there."""
    place = place.replace("/gcs/", "gs://", 1) if place.startswith("/gcs/") else place
    if "://" not in place:
        yield Path(place)
        return
    import tempfile

    import fsspec

    with tempfile.TemporaryDirectory(prefix="rate.") as folder:
        storage, root = fsspec.core.url_to_fs(place.rstrip("/"))
        try:
            for name in files:
                storage.get_file(f"{root}/{name}", f"{folder}/{name}")
        except FileNotFoundError as error:
            raise UserError(f"{place} lacks a file: {error}") from None
        yield Path(folder)
