"""Encoding: the pairs of a split to piece ids, and the corpus's files."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.artifacts.corpus import Shard, bucket_edges
from seqline.components.tokenize.augmentation import Augmenter
from seqline.components.tokenize.cleaning import Keys, hashed
from seqline.components.tokenize.encoder import Encoder
from seqline.components.tokenize.examples import Ragged, tfrecords
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.repetition import repeated
from seqline.components.tokenize.rules import thresholds
from seqline.components.tokenize.splits import open_batches
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.text import folded_column

Mask = npt.NDArray[np.bool_]


@dataclass
class Encoded:
    """Pairs as piece ids, without begin and end.

    Attributes:
        source: One list a pair.
        target: Likewise.
        augmented: Which pairs were made of others; None if none was.
    """

    source: Ragged
    target: Ragged
    augmented: Mask | None = None

    def take(self, rows: npt.NDArray[np.int64]) -> "Encoded":
        """Some of the pairs.

        Args:
            rows: Which.
        """
        return Encoded(self.source.take(rows), self.target.take(rows))


class EncodeSplit(beam.DoFn):
    """Encodes the training pairs of one part, or all pairs of a held-out split, and writes them; yields a tally.

    Without a model (the driver is going to refuse the data) it does nothing.

    Args:
        files: All inputs.
        options: The stage's options.
        folder: Where the corpus's files go.
    """

    def __init__(self, files: list[Input], options: Options, folder: str) -> None:
        self.files, self.options, self.folder = files, options, folder
        self.paths = [file.path for file in files]
        self.chosen = thresholds(options.task, options.rules)
        self.augmenter = Augmenter(options)
        self._encoder: Encoder | None = None

    def process(
        self, work: tuple[str, Iterable[tuple[int, str]]], model: bytes, splits: list[tuple[str, tuple[int, str]]]
    ) -> Iterator[Tally]:
        """Encodes one split or part of it.

        Args:
            work: Its name, and its files by part, in any order.
            model: The SentencePiece model.
            splits: All of these, one file each.
        """
        if not model:
            return
        name, files = work
        split, _, part = name.partition("-")
        tally = Tally()
        encoder = self._encoder = self._encoder or Encoder(model)
        augmenting = split == "train" and self.augmenter.active
        held_out = _places([path for other, (_, path) in splits if augmenting and not other.startswith("train-")])
        with ExitStack() as stack:
            shards = ShardWriter(self.folder, self.options, split, int(part or 0), stack)
            texts = None if split == "train" else stack.enter_context(_text(f"{self.folder}/{split}.jsonl"))
            for _, path in sorted(files):
                reader = open_batches(path)
                for number in range(reader.num_record_batches):
                    table, encoded = self._fitting(pa.table(reader.get_batch(number)), split, encoder, tally)
                    tally.kept[split] += len(table)
                    if "slice" in table.column_names:
                        tally.slices.setdefault(split, Counter()).update(table["slice"].to_pylist())
                    if texts:
                        texts.writelines(_lines(table))
                    if split == "train":
                        self._count(table, encoded, tally)
                    if augmenting:
                        encoded = self._with_copies(table, encoded, held_out, encoder, tally)
                    if split != "test":
                        shards.write(encoded)
        tally.shards = shards.written()
        yield tally

    def _fitting(self, table: pa.Table, split: str, encoder: Encoder, tally: Tally) -> tuple[pa.Table, Encoded]:
        """The pairs that are neither too long nor too unlike in length, nor repeat themselves."""
        texts = [table[side].combine_chunks() for side in ("source", "target")]
        encoded = Encoded(encoder.encode(texts[0]), encoder.encode(texts[1]))
        source, target = encoded.source.lengths, encoded.target.lengths
        ours = table["given"].to_numpy() == 0
        longer, shorter = np.maximum(source, target), np.minimum(source, target)
        masks: dict[str, Mask] = {}
        if not (split == "test" and not ours.any()):
            masks["too_long"] = longer > self.options.max_tokens
        # Given files are the user's own choice of pairs: a wrong ratio is no reason to change a published test.
        if ratio := self.chosen.get("length_ratio"):
            masks["length_ratio"] = ours & (longer > ratio * shorter) & (shorter > 0)
        if most := self.chosen.get("repeated"):
            sides = [repeated(*side, int(most)) for side in zip((encoded.source, encoded.target), texts, strict=True)]
            masks["repeated"] = ours & (sides[0] | sides[1])
        alive = np.ones(len(table), bool)
        for name, mask in masks.items():
            tally.reject_rows(name, table, np.flatnonzero(mask & alive), self.paths)
            alive &= ~mask
        if alive.all():
            return table, encoded
        rows = np.flatnonzero(alive)
        return table.take(pa.array(rows)), encoded.take(rows)

    def _with_copies(
        self,
        table: pa.Table,
        encoded: Encoded,
        held_out: Keys,
        encoder: Encoder,
        tally: Tally,
    ) -> Encoded:
        """The pairs, each followed by its copies; no copy says a source of the validation or test text."""
        copies = list(self.augmenter.copies(table))
        sources, targets = (
            pa.array([getattr(copy, side) for copy in copies], pa.string()) for side in ("source", "target")
        )
        made = Encoded(encoder.encode(sources), encoder.encode(targets))
        longest = np.maximum(made.source.lengths, made.target.lengths)
        places = hashed(folded_column(sources if self.options.source_field else targets))
        rows = np.flatnonzero((longest <= self.options.max_tokens) & ~np.isin(places, held_out))
        tally.augmented.update(copies[row].how for row in rows.tolist())
        made = made.take(rows)
        order = np.argsort(
            np.concatenate((np.arange(len(table)), np.array([copies[row].row for row in rows.tolist()], np.int64))),
            kind="stable",
        )
        source, target = (
            own.followed_by(new).take(order)
            for own, new in ((encoded.source, made.source), (encoded.target, made.target))
        )
        return Encoded(source, target, augmented=order >= len(table))

    def _count(self, table: pa.Table, encoded: Encoded, tally: Tally) -> None:
        source, target = encoded.source.lengths, encoded.target.lengths
        for side, lengths in (("source", source), ("target", target)):
            tally.lengths.setdefault(side, Counter()).update(_occurrences(lengths))
        ratios = np.round(2 * np.log2(np.maximum(target, 1) / np.maximum(source, 1))).astype(int)
        steps, counts = np.unique(ratios, return_counts=True)
        tally.ratios.update(dict(zip(steps.tolist(), counts.tolist(), strict=True)))
        for pieces in (encoded.source, encoded.target):
            tally.pieces.update(_occurrences(pieces.ids))
        tally.show_rows("kept", table, np.arange(min(1, len(table))), self.paths)


class ShardWriter:
    """Writes pairs to TFRecord files: training pairs to one for each bucket of lengths.

    Args:
        folder: Where.
        options: The stage's options.
        split: "train" or "valid".
        part: The part's number.
        stack: Closes the files.
    """

    def __init__(self, folder: str, options: Options, split: str, part: int, stack: ExitStack) -> None:
        self.folder, self.options, self.split, self.part, self.stack = folder, options, split, part, stack
        edges = bucket_edges(options.max_tokens)
        self.edges = np.array(edges if split == "train" else edges[-1:])
        self._files: dict[int, Any] = {}
        self._shards: dict[int, list[int]] = {}

    def write(self, encoded: Encoded) -> None:
        """Writes pairs, each to its bucket's file.

        Args:
            encoded: The pairs, none longer than the last edge unless there is but one bucket.
        """
        source, target = encoded.source.lengths, encoded.target.lengths
        buckets = np.minimum(np.searchsorted(self.edges, np.maximum(source, target)), len(self.edges) - 1)
        records = list(tfrecords(encoded.source, encoded.target, encoded.augmented))
        for bucket in np.unique(buckets).tolist():
            rows = np.flatnonzero(buckets == bucket)
            self._file(bucket).write(b"".join(records[row] for row in rows.tolist()))
            counts = self._shards[bucket]
            counts[0] += len(rows)
            counts[1] += int(source[rows].sum())
            counts[2] += int(target[rows].sum())

    def written(self) -> list[Shard]:
        """The manifest's entries."""
        return [
            Shard(self._name(bucket), records, source, target, int(self.edges[bucket]))
            for bucket, (records, source, target) in sorted(self._shards.items())
        ]

    def _file(self, bucket: int) -> Any:
        if bucket not in self._files:
            file = fsspec.open(f"{self.folder}/{self._name(bucket)}", "wb")
            self._files[bucket] = self.stack.enter_context(file)
            self._shards[bucket] = [0, 0, 0]
        return self._files[bucket]

    def _name(self, bucket: int) -> str:
        if self.split != "train":
            return f"{self.split}-00000-of-00001.tfrecord"
        return f"train-{self.edges[bucket]:05}-{self.part:05}-of-{self.options.shards:05}.tfrecord"


def _places(paths: list[str]) -> Keys:
    """The places of all pairs in files of a split."""
    readers = map(open_batches, sorted(paths))
    batches = [reader.get_batch(number) for reader in readers for number in range(reader.num_record_batches)]
    return np.concatenate([np.zeros(0, np.uint64), *(pa.table(batch)["place"].to_numpy() for batch in batches)])


def _occurrences(numbers: npt.NDArray[np.integer]) -> dict[int, int]:
    counts = np.bincount(numbers)
    return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}


def _text(path: str) -> Any:
    return fsspec.open(path, "w", encoding="utf-8", newline="\n")


def _lines(table: pa.Table) -> Iterator[str]:
    fields = [name for name in ("source", "target", "slice") if name in table.column_names]
    for record in table.select(fields).to_pylist():
        yield json.dumps(record, ensure_ascii=False) + "\n"
