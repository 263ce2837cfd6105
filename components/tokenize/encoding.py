"""Encoding: the pairs of a split to token ids, and the corpus's files."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.artifacts.reference import WHOLE
from seqline.components.tokenize.augmentation import Augmenter
from seqline.components.tokenize.content import Mask
from seqline.components.tokenize.encoded import Encoded
from seqline.components.tokenize.encoder import Encoder
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.repetition import repeated
from seqline.components.tokenize.rules import thresholds
from seqline.components.tokenize.segments import OURS, PARAMETERS, Hashes, hashed, read_tables
from seqline.components.tokenize.shards import ShardWriter
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.text import folded_column
from seqline.inputs.storage import fsspec
from seqline.progress import count

_OURS = [PARAMETERS.index(name) for name in OURS]
_FEEDBACK = PARAMETERS.index("feedback")


class EncodeSplit(beam.DoFn):
    """Encodes the training pairs of one part, or all pairs of a held-out split, and writes them; yields a tally.

    Without a model it does nothing: the driver is going to reject the data.

    Args:
        files: All inputs.
        options: The stage's options.
        folder: Folder of the corpus's files.
    """

    def __init__(self, files: list[Input], options: Options, folder: str) -> None:
        self.options, self.folder = options, folder
        self.paths = [file.path for file in files]
        self.thresholds = thresholds(options.task, options.rules)
        self.augmenter = Augmenter(options)
        self._encoder: Encoder | None = None

    def process(
        self, work: tuple[str, Iterable[tuple[int, str]]], model: bytes, splits: list[tuple[str, tuple[int, str]]]
    ) -> Iterator[Tally]:
        """Encodes one unit of work.

        Args:
            work: Its name, and its files by part, in any order.
            model: The tokenizer's file.
            splits: The files of all units of work.
        """
        if not model:
            return
        name, files = work
        split, _, part = name.partition("-")
        tally = Tally()
        encoder = self._encoder = self._encoder or Encoder(model)
        augmenting = split == "train" and self.augmenter.active
        held_out = _source_hashes(path for other, (_, path) in splits if augmenting and not other.startswith("train-"))
        with ExitStack() as stack:
            number, parts = (int(part), self.options.shards) if split == "train" else (0, 1)
            shards = ShardWriter(self.folder, f"{split}-{number:05}-of-{parts:05}", encoder.id_type, stack)
            texts = None if split == "train" else stack.enter_context(_text(f"{self.folder}/{split}.jsonl"))
            for _, path in sorted(files):
                for batch in read_tables(path):
                    table, encoded = self._filter(batch, split, encoder, tally)
                    count(encoded_pairs=len(batch))
                    tally.kept[split] += len(table)
                    tally.feedback += int((table["parameter"].to_numpy() == _FEEDBACK).sum())
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

    def _filter(self, table: pa.Table, split: str, encoder: Encoder, tally: Tally) -> tuple[pa.Table, Encoded]:
        """Rejects pairs that are too long, too different in length, or repetitive; truncates sources."""
        texts = [table[side].combine_chunks() for side in ("source", "target")]
        whole = Encoded(encoder.encode_sources(texts[0]), encoder.encode_targets(texts[1]))
        encoded = self._truncated(whole, encoder)
        # Without the prompt: of that, every source has as much.
        source = np.maximum(encoded.source.lengths - encoder.prompt_tokens, 0)
        shorter, longer = (chosen(source, encoded.target.lengths) for chosen in (np.minimum, np.maximum))
        # Validation and test files are the user's own choice of pairs: no rule may change a published test set.
        from_data = np.isin(table["parameter"].to_numpy(), _OURS)
        # A text of U+2581 alone, which SentencePiece takes for a space, has no tokens.
        empty = encoded.target.lengths == 0
        if self.options.source_field:
            empty |= source == 0
        masks: dict[str, Mask] = {"empty": empty}
        if not (split == "test" and not from_data.any()):
            masks["too_long"] = encoded.longest > self.options.max_tokens
        if ratio := self.thresholds.get("length_ratio"):
            masks["length_ratio"] = from_data & (longer > ratio * shorter) & (shorter > 0)
        if most := self.thresholds.get("repeated"):
            sides = [repeated(*side, int(most)) for side in zip((whole.source, whole.target), texts, strict=True)]
            masks["repeated"] = from_data & (sides[0] | sides[1])
        accepted = tally.reject_matches(masks.items(), table, self.paths)
        if truncated := int((accepted & (encoded.source.lengths < whole.source.lengths)).sum()):
            tally.truncated[split] += truncated
        if accepted.all():
            return table, encoded
        rows = np.flatnonzero(accepted)
        return table.take(pa.array(rows)), encoded.take(rows)

    def _truncated(self, encoded: Encoded, encoder: Encoder) -> Encoded:
        """The pairs as serving reads them, where the task allows long sources."""
        if not self.options.truncates_sources:
            return encoded
        return Encoded(encoded.source.truncated(self.options.max_tokens, encoder.ending), encoded.target)

    def _with_copies(
        self, table: pa.Table, encoded: Encoded, held_out: Hashes, encoder: Encoder, tally: Tally
    ) -> Encoded:
        """The pairs, each followed by its copies; no copy has a source of the validation or test pairs."""
        copies = list(self.augmenter.copies(table))
        sources, targets = (
            pa.array([getattr(copy, side) for copy in copies], pa.string()) for side in ("source", "target")
        )
        made = Encoded(encoder.encode_sources(sources), encoder.encode_targets(targets))
        made = self._truncated(made, encoder)
        hashes = hashed(folded_column(sources if self.options.source_field else targets))
        rows = np.flatnonzero((made.longest <= self.options.max_tokens) & ~np.isin(hashes, held_out))
        tally.augmented.update(copies[row].method for row in rows.tolist())
        made = made.take(rows)
        originals = np.array([copies[row].row for row in rows.tolist()], np.int64)
        order = np.argsort(np.concatenate((np.arange(len(table)), originals)), kind="stable")
        return Encoded(
            encoded.source.followed_by(made.source).take(order), encoded.target.followed_by(made.target).take(order)
        )

    def _count(self, table: pa.Table, encoded: Encoded, tally: Tally) -> None:
        source, target = encoded.source, encoded.target
        for name, side in (("source", source), ("target", target)):
            tally.lengths.setdefault(name, Counter()).update(_occurrences(side.lengths))
            tally.tokens.update(_occurrences(side.ids))
        weights = np.repeat(WHOLE // np.maximum(source.lengths, 1), source.lengths)
        tally.source_weights.update(_sums(source.ids, weights))
        ratios = np.round(2 * np.log2(np.maximum(target.lengths, 1) / np.maximum(source.lengths, 1))).astype(int)
        steps, counts = np.unique(ratios, return_counts=True)
        tally.ratios.update(dict(zip(steps.tolist(), counts.tolist(), strict=True)))
        tally.show_rows("kept", table, np.arange(min(1, len(table))), self.paths)


def _source_hashes(paths: Iterable[str]) -> Hashes:
    """The source hashes of all pairs in files."""
    tables = (table for path in sorted(paths) for table in read_tables(path))
    return np.concatenate([np.zeros(0, np.uint64), *(table["source_hash"].to_numpy() for table in tables)])


def _occurrences(numbers: npt.NDArray[np.integer]) -> dict[int, int]:
    counts = np.bincount(numbers)
    return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}


def _sums(numbers: npt.NDArray[np.integer], weights: npt.NDArray[np.integer]) -> dict[int, int]:
    sums = np.bincount(numbers, weights)  # in float64, which is exact for them
    return {int(number): int(sums[number]) for number in np.flatnonzero(sums)}


def _text(path: str) -> Any:
    return fsspec.open(path, "w", encoding="utf-8", newline="\n")


def _lines(table: pa.Table) -> Iterator[str]:
    fields = [name for name in ("source", "target", "slice") if name in table.column_names]
    for record in table.select(fields).to_pylist():
        yield json.dumps(record, ensure_ascii=False) + "\n"
