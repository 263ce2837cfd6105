"""Encoding: the pairs of a shard to piece ids, and the corpus's files."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import fsspec

from components.tokenize.corpus import Shard
from components.tokenize.examples import ExampleEncoder, tfrecords
from components.tokenize.options import Options
from components.tokenize.rows import Block, Given, place
from components.tokenize.tally import Tally
from components.tokenize.vocabulary import load

Encoded = tuple[list[str], list[list[int]], list[list[int]]]
"""Rows "source TAB target", and the piece ids of their sources and of their targets."""


class EncodePairs(beam.DoFn):
    """Encodes a shard: leaves out what is too long, writes its training file.

    Yields (split, block) for validation and test; tagged "tally", the counts. Without a model (the driver is
    going to refuse the data) it does nothing.

    Args:
        options: The stage's options.
        given: The parameters that name files.
        folder: Where the files go.
    """

    def __init__(self, options: Options, given: frozenset[Given], folder: str) -> None:
        self.options = options
        self.given = given
        self.folder = folder

    def process(self, shard: tuple[int, dict[str, Block]], model: bytes) -> Iterator[Any]:
        """Encodes one shard.

        Args:
            shard: Its number, and the pairs of each split.
            model: The SentencePiece model.
        """
        if not model:
            return
        number, splits = shard
        tally = Tally()
        for split, block in splits.items():
            encoded = self._fitting(split, encode(block, model), tally)
            tally.kept[split] += len(encoded[0])
            if split == "train":
                for row in encoded[0][:1]:
                    tally.show("kept", *row.split("\t"))
                name = f"train-{number:05}-of-{self.options.shards:05}.tfrecord"
                tally.shards.append(write_shard(self.folder, name, encoded, load(model).vocab_size()))
                for side, ids in (("source", encoded[1]), ("target", encoded[2])):
                    tally.lengths[side] = Counter(map(len, ids))
            else:
                yield split, "\n".join(encoded[0])
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _fitting(self, split: str, encoded: Encoded, tally: Tally) -> Encoded:
        """The pairs that are neither too long nor too unlike in length."""
        whole = f"{split}_data" in self.given
        longest = self.options.max_tokens
        # Given files are the user's own choice of pairs: a wrong ratio is no reason to change a published test.
        ratio = 0.0 if whole else self.options.max_length_ratio
        if whole and split == "test":
            return encoded
        fitting: Encoded = ([], [], [])
        for row, source, target in zip(*encoded, strict=True):
            short, long = sorted((len(source), len(target)))
            if long > longest:
                tally.reject("too_long", *row.split("\t"))
            elif ratio and long > ratio * short:
                tally.reject("length_ratio", *row.split("\t"))
            else:
                fitting[0].append(row)
                fitting[1].append(source)
                fitting[2].append(target)
        return fitting


class WriteHeldOut(beam.DoFn):
    """Writes the validation or test text, and the validation pairs' ids; yields a tally.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, split: tuple[str, Iterable[Block]], model: bytes) -> Iterator[Tally]:
        """Writes one split.

        Args:
            split: Its name, and its blocks in any order.
            model: The SentencePiece model.
        """
        name, blocks = split
        rows = [row for block in blocks if block for row in block.split("\n")]
        rows.sort(key=lambda row: (place(row.partition("\t")[0]), row))
        tally = Tally()
        if name == "valid":
            encoded = encode("\n".join(rows), model)
            vocabulary_size = load(model).vocab_size()
            tally.shards.append(write_shard(self.folder, "valid-00000-of-00001.tfrecord", encoded, vocabulary_size))
        with fsspec.open(f"{self.folder}/{name}.jsonl", "w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                source, _, target = row.partition("\t")
                file.write(json.dumps({"source": source, "target": target}, ensure_ascii=False) + "\n")
        yield tally


def encode(block: Block, model: bytes) -> Encoded:
    """Piece ids of a block, without begin and end.

    Args:
        block: The pairs.
        model: The SentencePiece model.
    """
    if not block:
        return [], [], []
    rows = block.split("\n")
    sources, targets = zip(*(row.split("\t") for row in rows), strict=True)
    processor = load(model)
    return rows, processor.encode(list(sources)), processor.encode(list(targets))


def write_shard(folder: str, name: str, encoded: Encoded, vocabulary_size: int) -> Shard:
    """Writes pairs as a TFRecord file of tf.train.Example.

    Args:
        folder: Where.
        name: The file's name.
        encoded: The pairs.
        vocabulary_size: Ids are below it.

    Returns:
        The manifest's entry.
    """
    rows, sources, targets = encoded
    encoder = ExampleEncoder(vocabulary_size)
    with fsspec.open(f"{folder}/{name}", "wb") as file:
        file.writelines(tfrecords(map(encoder.encode, sources, targets)))
    return Shard(name, len(rows), sum(map(len, sources)), sum(map(len, targets)))
