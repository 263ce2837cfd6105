"""`seqline sample`: the built-in corpus."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    output: Annotated[Path, typer.Argument(help="The file to write: .tsv or .jsonl.")] = Path("sample.tsv"),
    source: Annotated[str, typer.Option(help="CLDR locale of the source side.")] = "en",
    target: Annotated[str, typer.Option(help="CLDR locale of the target side.")] = "de",
    pairs: Annotated[int | None, typer.Option(help="How many pairs; the sample's own size by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the selection.")] = 1,
) -> None:
    """Write the built-in corpus. It is made from Unicode CLDR: real translations, free to share."""
    from seqline.samples.dates import write_sample

    size = {} if pairs is None else {"pairs": pairs}
    print(write_sample(output, source, target, seed=seed, **size))
