"""The Beam pipeline: what cuts, cleans, splits, learns, encodes and writes, and what each waits for."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import apache_beam as beam
import fsspec
import pyarrow as pa

from seqline.components.tokenize import vocabulary
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.encoding import EncodeSplit
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.inputs import CutFiles
from seqline.components.tokenize.judgement import judge
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.splits import SplitPairs, open_batches
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

TALLY = "tally.json"


def build(pipeline: beam.Pipeline, files: list[Input], sections: int, folder: str, work: str, options: Options) -> None:
    """Adds all steps to a pipeline.

    Between the steps pairs lie in files, in columns of thousands; through Beam go references to them. So no worker
    and no runner ever holds more than a block or a section. Pairs meet by a hash of their source: duplicates
    meet, no source is in two splits, and the corpus is the same whatever the order and the number of workers.

    Args:
        pipeline: An empty pipeline.
        files: The inputs.
        sections: Into how many sections each part is cut; it changes what memory is needed, never the result.
        folder: A folder that all workers can write to; the corpus's files and `TALLY` appear there.
        work: Such a folder for what lies between the steps.
        options: The stage's options.
    """
    cut = (
        pipeline
        | "Files" >> beam.Create(list(range(len(files))), reshuffle=False)
        | "Spread files" >> beam.Reshuffle()
        | "Cut" >> beam.ParDo(CutFiles(files, options, work)).with_outputs("tally", main="blocks")
    )
    cleaned = (
        cut.blocks
        | "Spread blocks" >> beam.Reshuffle()
        | "Clean" >> beam.ParDo(CleanBlocks(files, options, sections, work)).with_outputs("tally", main="segments")
    )
    # Every part exists, even without pairs.
    empty = pipeline | "Parts" >> beam.Create([(part, None) for part in range(options.shards)])
    split = (
        (cleaned.segments, empty)
        | "Merge" >> beam.Flatten()
        | "Meet" >> beam.GroupByKey()
        | "Split" >> beam.ParDo(SplitPairs(files, options, sections, work)).with_outputs("tally", main="files")
    )
    before = (
        (cut.tally, cleaned.tally, split.tally)
        | "Counts" >> beam.Flatten()
        | "Count" >> beam.CombineGlobally(Tally.total)
    )
    learnt = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Learn"
        >> beam.ParDo(
            LearnTokenizer(options, folder), beam.pvalue.AsList(split.files), beam.pvalue.AsSingleton(before)
        ).with_outputs("tally", main="model")
    )
    encoded = (
        split.files
        | "Gather" >> beam.GroupByKey()
        | "Encode"
        >> beam.ParDo(
            EncodeSplit(files, options, folder),
            beam.pvalue.AsSingleton(learnt.model),
            beam.pvalue.AsList(split.files),
        )
    )
    (
        (before, learnt.tally, encoded)
        | "All counts" >> beam.Flatten()
        | "Sum" >> beam.CombineGlobally(Tally.total)
        | "Tally" >> beam.Map(_write, f"{folder}/{TALLY}")
    )


class LearnTokenizer(beam.DoFn):
    """Learns the tokenizer, or takes the given one, and writes it.

    Yields the model, empty when no corpus can be made of the data.

    Args:
        options: The stage's options.
        folder: Where the files go.
    """

    def __init__(self, options: Options, folder: str) -> None:
        self.options = options
        self.folder = folder

    def process(self, _: None, files: list[tuple[str, tuple[int, str]]], tally: Tally) -> Iterator[Any]:
        """Learns from a sample.

        Args:
            files: The splits' files, in any order.
            tally: The counts so far.
        """
        if tally.problems:
            yield b""
            return
        try:
            judge(tally, self.options, tally.candidates)
            paths = sorted(path for name, (_, path) in files if name.startswith("train-"))
            given = self.options.tokenizer
            model = vocabulary.given(given) if given else vocabulary.learn(self._sample(paths), self.options)
        except UserError as error:
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[str(error)]))
            yield b""
            return
        with fsspec.open(f"{self.folder}/tokenizer.model", "wb") as file:
            file.write(model)
        with fsspec.open(f"{self.folder}/tokenizer.vocab", "w", encoding="utf-8", newline="\n") as file:
            file.write(vocabulary.listing(model))
        yield model

    def _sample(self, paths: list[str]) -> Iterator[str]:
        # Ordered by a hash, the first are a uniform sample.
        for path in paths:
            yield from _texts(path, -(-self.options.tokenizer_sample // self.options.shards))


def _texts(path: str, most: int) -> Iterator[str]:
    reader = open_batches(path)
    batches = (pa.table(reader.get_batch(number)) for number in range(reader.num_record_batches))
    pairs = (zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True) for table in batches)
    for pair in islice(chain.from_iterable(pairs), most):
        yield from filter(None, pair)


def _write(tally: Tally, path: str) -> None:
    with fsspec.open(path, "w", encoding="utf-8") as file:
        file.write(tally.to_json())
