"""The Beam pipeline: its steps, and the order in which they depend on each other."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import apache_beam as beam

from seqline.artifacts.text_tokenizer import MODEL, RECORD, is_record
from seqline.components.tokenize import vocabulary
from seqline.components.tokenize.blocks import CutFiles
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.corpus_checks import check_counts
from seqline.components.tokenize.encoding import EncodeSplit
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.segments import read_tables
from seqline.components.tokenize.splits import SplitPairs
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.vocabulary_size import train_chosen
from seqline.errors import UserError
from seqline.inputs.storage import fsspec
from seqline.progress import count
from seqline.schema.auto import AUTO

TALLY = "tally.json"


def build(pipeline: beam.Pipeline, files: list[Input], sections: int, folder: str, work: str, options: Options) -> None:
    """Adds all steps to a pipeline.

    Between the steps, pairs are in files of record batches, and Beam passes references to them: no worker and no runner
    holds more than a block or a section in memory. Pairs are grouped by a hash of their source: duplicates meet, no
    source is in two splits, and the corpus does not depend on the order of the rows or the number of workers.

    Args:
        pipeline: An empty pipeline.
        files: The inputs.
        sections: Number of sections of each part; it changes the memory that is needed, never the result.
        folder: A folder that all workers can write to, for the corpus's files and `TALLY`.
        work: Such a folder for intermediate files.
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
        | "Group by part" >> beam.GroupByKey()
        | "Split" >> beam.ParDo(SplitPairs(files, options, sections, work)).with_outputs("tally", main="files")
    )
    before = (
        (cut.tally, cleaned.tally, split.tally)
        | "Counts" >> beam.Flatten()
        | "Count" >> beam.CombineGlobally(Tally.total)
    )
    trained = (
        pipeline
        | "Once" >> beam.Create([None])
        | "Train tokenizer"
        >> beam.ParDo(
            TrainTokenizer(options, folder), beam.pvalue.AsList(split.files), beam.pvalue.AsSingleton(before)
        ).with_outputs("tally", main="model")
    )
    encoded = (
        split.files
        | "Group by split" >> beam.GroupByKey()
        | "Encode"
        >> beam.ParDo(
            EncodeSplit(files, options, folder),
            beam.pvalue.AsSingleton(trained.model),
            beam.pvalue.AsList(split.files),
        )
    )
    (
        (before, trained.tally, encoded)
        | "All counts" >> beam.Flatten()
        | "Sum" >> beam.CombineGlobally(Tally.total)
        | "Tally" >> beam.Map(_write, f"{folder}/{TALLY}")
    )


class TrainTokenizer(beam.DoFn):
    """Trains the tokenizer, or reads the given one, and writes it.

    Yields the model; an empty one if no corpus can be made of the data.

    Args:
        options: The stage's options.
        folder: Folder of the corpus's files.
    """

    def __init__(self, options: Options, folder: str) -> None:
        self.options = options
        self.folder = folder

    def process(self, _: None, files: list[tuple[str, tuple[int, str]]], tally: Tally) -> Iterator[Any]:
        """Trains on a sample.

        Args:
            files: The splits' files, in any order.
            tally: The counts so far.
        """
        if tally.problems:
            yield b""
            return
        count(tokenizers=1)
        try:
            check_counts(tally, self.options, tally.candidates)
            paths = sorted(path for name, (_, path) in files if name.startswith("train-"))
            model = vocabulary.given_tokenizer(self.options) or vocabulary.with_prompt(
                self._train(paths, tally), self.options
            )
            vocabulary.check_prompt(model, self.options)
        except UserError as error:
            yield beam.pvalue.TaggedOutput("tally", Tally(problems=[str(error)]))
            yield b""
            return
        with fsspec.open(f"{self.folder}/{RECORD if is_record(model) else MODEL}", "wb") as file:
            file.write(model)
        with fsspec.open(f"{self.folder}/tokenizer.vocab", "w", encoding="utf-8", newline="\n") as file:
            file.write(vocabulary.listing(model))
        yield model

    def _train(self, paths: list[str], tally: Tally) -> bytes:
        if self.options.vocabulary_size == AUTO:
            return train_chosen(lambda: self._sample(paths), tally.candidates["train"], self.options)
        texts = (text for pair in self._sample(paths) for text in pair if text)
        return vocabulary.train_tokenizer(texts, self.options)

    def _sample(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        # The pairs are sorted by a hash: the first ones are a uniform sample.
        share = -(-self.options.tokenizer_sample // self.options.shards)
        for path in paths:
            yield from islice(_pairs(path), share)


def _pairs(path: str) -> Iterator[tuple[str, str]]:
    for table in read_tables(path):
        yield from zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True)


def _write(tally: Tally, path: str) -> None:
    with fsspec.open(path, "w", encoding="utf-8") as file:
        file.write(tally.to_json())
