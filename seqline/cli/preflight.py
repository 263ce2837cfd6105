"""`seqline preflight`: would it train on that TPU, and what would it cost."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.errors import UserError


def preflight(
    tpu: Annotated[
        str, typer.Option("--tpu", help="The slice, such as v5e:2x2 or v3; by default the configuration's for Vertex.")
    ] = "",
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="A corpus that tokenize wrote: its buckets, steps, hours and cost.")
    ] = None,
    bucket: Annotated[
        list[int] | None, typer.Option("--bucket", help="Length of a batch to ask about, without a corpus; repeatable.")
    ] = None,
    compiled_buckets: Annotated[
        int, typer.Option("--compiled-buckets", min=1, help="How many are compiled; the rest is interpolated.")
    ] = 2,
    search: Annotated[bool, typer.Option(help="Look for the largest batch that fits.")] = True,
    decode: Annotated[bool, typer.Option(help="Ask about a step of decoding too.")] = False,
    tpus: Annotated[Path | None, typer.Option("--tpus", help="Another file of TPUs and prices.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the TPU compiler whether training compiles and fits. Without a TPU; it also says how long and how dear."""
    from seqline.artifacts.corpus import Corpus
    from seqline.checking.preflight import questions
    from seqline.components.train.preflight.slices import TPUS, read_slice
    from seqline.components.train.preflight.stage import ask, plan_of, plan_without_corpus

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    loaded = read_configuration(config, set_)
    question = questions(loaded)
    name = tpu or question.tpu
    if not name:
        raise UserError("the configuration has no TPU; name a slice with --tpu, such as v5e:2x2")
    file = tpus or TPUS
    slice_ = read_slice(name, file)
    if corpus is not None:
        plan = plan_of(Corpus(corpus), question.options, slice_.replicas)
    else:
        plan = plan_without_corpus(
            question.options, question.vocabulary_size, question.max_tokens, slice_.replicas, tuple(bucket or ())
        )
    report = ask(slice_, plan, question.options, compiled_buckets, search, decode)
    print(json.dumps(asdict(report), indent=1) if as_json else "\n".join(report.lines()))
    if report.faults:
        raise UserError("\n".join(report.faults))
