"""`seqline sample`: writes the built-in corpus."""

from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import JsonOption, at_home


@examples("seqline sample", "seqline sample pairs.jsonl --source en --target fr --pairs 5000")
def sample(
    output: Annotated[Path, typer.Argument(callback=at_home, help="File to write, .tsv or .jsonl.")] = Path(
        "sample.tsv"
    ),
    source: Annotated[str, typer.Option(metavar="SOURCE", help="CLDR locale of the sources.")] = "en",
    target: Annotated[str, typer.Option(metavar="TARGET", help="CLDR locale of the targets.")] = "de",
    pairs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of pairs; 25,000 by default.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random selection.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Write the built-in corpus, made from Unicode CLDR data.

    It holds real translations under a free licence.
    """
    from seqline.samples.dates import write_sample

    size = {} if pairs is None else {"pairs": pairs}
    written = write_sample(output, source, target, seed=seed, **size)
    if as_json:
        print_json({"written": [written]})
    else:
        print(written)
