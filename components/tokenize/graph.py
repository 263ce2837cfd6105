"""The Beam pipeline: what reads, splits, learns, encodes and writes, and what each waits for."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import fsspec

from components.errors import UserError
from components.tokenize.encoding import EncodePairs, WriteHeldOut
from components.tokenize.judgement import judge
from components.tokenize.options import Options
from components.tokenize.rows import Block, Given, ReadPairs
from components.tokenize.splits import SplitPairs
from components.tokenize.tally import Tally
from components.tokenize.vocabulary import learn, listing

TALLY = "tally.json"


def build(pipeline: beam.Pipeline, files: list[tuple[Given, str]], folder: str, options: Options) -> None:
    """Adds all steps to a pipeline.

    Pairs travel in blocks of thousands, grouped by a hash of their source; so duplicates meet, no source is in
    two splits, and the files are the same whatever the order and the number of workers.

    Args:
        pipeline: An empty pipeline.
        files: The parameter that names it, and the path, of each input file.
        folder: A folder that all workers can write to; the corpus's files and `TALLY` appear there.
        options: The stage's options.
    """
    given = frozenset(name for name, _ in files)
    read = (
        pipeline
        | "Files" >> beam.Create(files, reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadPairs(options)).with_outputs("tally", main="pairs")
    )
    # Every shard exists, even without pairs.
    empty = pipeline | "Shards" >> beam.Create([(number, ("data", "")) for number in range(options.shards)])
    split = (
        (read.pairs, empty)
        | "Merge" >> beam.Flatten()
        | "Group" >> beam.GroupByKey()
        | "Split" >> beam.ParDo(SplitPairs(options, given)).with_outputs("tally", "sample", main="splits")
    )
    before = (read.tally, split.tally) | "Counts" >> beam.Flatten() | "Count" >> beam.CombineGlobally(Tally.total)
    learnt = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Learn"
        >> beam.ParDo(
            LearnTokenizer(options, folder), beam.pvalue.AsList(split.sample), beam.pvalue.AsSingleton(before)
        ).with_outputs("tally", main="model")
    )
    model = beam.pvalue.AsSingleton(learnt.model)
    encoded = split.splits | "Encode" >> beam.ParDo(EncodePairs(options, given, folder), model).with_outputs(
        "tally", main="held_out"
    )
    written = encoded.held_out | "Gather" >> beam.GroupByKey() | "Write" >> beam.ParDo(WriteHeldOut(folder), model)
    (
        (before, learnt.tally, encoded.tally, written)
        | "All counts" >> beam.Flatten()
        | "Sum" >> beam.CombineGlobally(Tally.total)
        | "Tally" >> beam.Map(_write, f"{folder}/{TALLY}")
    )


class LearnTokenizer(beam.DoFn):
    """Learns the tokenizer and writes it; yields the model, empty when no corpus can be made of the data.

    Args:
        options: The stage's options.
        folder: Where the files go.
    """

    def __init__(self, options: Options, folder: str) -> None:
        self.options = options
        self.folder = folder

    def process(self, _: None, sample: list[tuple[int, Block]], tally: Tally) -> Iterator[Any]:
        """Learns from a sample.

        Args:
            sample: Numbered blocks in any order.
            tally: The counts so far.
        """
        texts = (side for _, block in sorted(sample) for row in _rows(block) for side in row.split("\t"))
        if tally.problems:
            yield b""
            return
        try:
            judge(tally, self.options, tally.candidates)
            model = learn(texts, self.options)
        except UserError as error:
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[str(error)]))
            yield b""
            return
        with fsspec.open(f"{self.folder}/tokenizer.model", "wb") as file:
            file.write(model)
        with fsspec.open(f"{self.folder}/tokenizer.vocab", "w", encoding="utf-8", newline="\n") as file:
            file.write(listing(model))
        yield model


def _rows(block: Block) -> Iterable[str]:
    return block.split("\n") if block else ()


def _write(tally: Tally, path: str) -> None:
    with fsspec.open(path, "w", encoding="utf-8") as file:
        file.write(tally.to_json())
