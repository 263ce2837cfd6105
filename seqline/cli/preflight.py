"""`seqline preflight`: checks training on a TPU before renting one."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, JsonOption, SetOption, at_home, read_configuration
from seqline.errors import UserError


@examples(
    "seqline preflight --tpu v5e:2x2 --bucket 64 --bucket 256",
    "seqline preflight --corpus .seqline/runs/RUN/tokenize/corpus",
)
def preflight(
    tpu: Annotated[
        str,
        typer.Option(
            "--tpu", metavar="TYPE", help="The slice, such as v5e:2x2 or v3; the configuration's for Vertex by default."
        ),
    ] = "",
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            callback=at_home,
            metavar="PATH",
            help="A corpus from tokenize, for its buckets, steps, hours and cost.",
        ),
    ] = None,
    bucket: Annotated[
        list[int] | None,
        typer.Option("--bucket", metavar="N", help="Length of a batch to check, without a corpus; repeatable."),
    ] = None,
    compiled_buckets: Annotated[
        int,
        typer.Option(
            "--compiled-buckets", min=1, metavar="N", help="Number of buckets to compile; the others are interpolated."
        ),
    ] = 2,
    search: Annotated[bool, typer.Option(help="Search for the largest batch that fits.")] = True,
    decode: Annotated[bool, typer.Option(help="Also check a step of decoding.")] = False,
    tpus: Annotated[
        Path | None,
        typer.Option(
            "--tpus", callback=at_home, metavar="PATH", help="A file of TPUs and prices, instead of the built-in one."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether training compiles for a TPU and fits it.

    Runs the TPU compiler, which needs no TPU, and estimates the time and the cost.
    """
    from seqline.artifacts.corpus import Corpus
    from seqline.checking.preflight import training_plan
    from seqline.components.train.preflight.compiled_plan import compile_plan
    from seqline.components.train.preflight.plan import plan_of, plan_without_corpus
    from seqline.components.train.preflight.slices import TPUS, read_slice

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    loaded = read_configuration(config, set_)
    wanted = training_plan(loaded)
    name = tpu or wanted.tpu
    if not name:
        raise UserError("the configuration has no TPU; set a slice with --tpu, such as v5e:2x2")
    file = tpus or TPUS
    slice_ = read_slice(name, file)
    if corpus is not None:
        plan = plan_of(Corpus(corpus), wanted.options, slice_)
    else:
        plan = plan_without_corpus(
            wanted.options, wanted.vocabulary_size, wanted.max_tokens, slice_.replicas, tuple(bucket or ())
        )
    report = compile_plan(slice_, plan, compiled_buckets, search, decode)
    if as_json:
        print_json(report)
    else:
        print("\n".join(report.lines()))
    if report.faults:
        raise UserError("\n".join(report.faults))
