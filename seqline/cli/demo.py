"""`seqline demo`: the whole pipeline on the built-in corpus."""

from typing import Annotated

import typer

from seqline.cli.choosing import home_of
from seqline.cli.examples import examples
from seqline.cli.options import HomeOption, JsonOption, SetOption
from seqline.cli.run import run

# Small and quick: the sample is learned in a few minutes on two cores. An update learns as much from half a batch, and
# nothing is overfitted in so few epochs, so that dropout would only slow the learning.
SETTINGS = (
    "training.preset=demo",
    "training.epochs=4",
    "training.minutes=5",
    "training.batch_tokens=1024",
    "training.dropout=0",
    "training.learning_rate=0.003",
    "training.warmup_steps=200",
    "training.ema_momentum=0.98",
    "corpus.vocabulary_size=2000",
    "decoding.max_output_length=64",
)
NAME = "demo"


@examples("seqline demo", "seqline demo --set training.epochs=2", "seqline demo --endpoint none")
def demo(
    endpoint: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the local endpoint; none to skip the deployment.")
    ] = NAME,
    port: Annotated[int | None, typer.Option(metavar="N", help="Port of the local endpoint.")] = None,
    set_: SetOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the pipeline on a toy corpus, to a live endpoint.

    Takes a few minutes. The corpus is built in: dates in English and German, made from Unicode CLDR data.
    """
    data = home_of(home) / "sample.tsv"
    if not data.is_file():
        from seqline.samples.dates import write_sample

        data.parent.mkdir(parents=True, exist_ok=True)
        write_sample(data, "en", "de")
    run(
        data=str(data),
        endpoint=endpoint,
        port=port,
        target="laptop",
        pipeline="training",
        set_=[*SETTINGS, *(set_ or [])],
        home=home,
        as_json=as_json,
    )
