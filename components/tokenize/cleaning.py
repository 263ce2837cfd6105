"""Cleaning: blocks of records to clean pairs, judged row by row, and laid down where the pairs of a part meet."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from seqline.components.tokenize.content import Content
from seqline.components.tokenize.filters import Pairs
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.inputs import Block
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rows import Rows, parse
from seqline.components.tokenize.rules import check, thresholds
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.text import clean_column, folded_column

Keys = npt.NDArray[np.uint64]
Segments = tuple[str, dict[int, int]]
"""A file of pairs, and which of its record batches hold those of a part, by section."""

# No piece of a learnt tokenizer has more characters than 16, of a given one hardly more than 64.
_CHARACTERS_PER_PIECE = 64


def place(source: str) -> int:
    """A number below 2**64 that only the source decides: it orders pairs, and says their split and part.

    Sources that differ in case, punctuation or spacing alone have the same: they are never in two splits.
    """
    return xxh3_64_intdigest(folded_column(pa.array([source]))[0])


def hashed(texts: list[bytes]) -> Keys:
    """A number for each text."""
    return np.fromiter(map(xxh3_64_intdigest, texts), np.uint64, len(texts))


def mixed(one: Keys, other: Keys) -> Keys:
    """A number for each pair of numbers."""
    both = (one ^ (other >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + other
    return (both ^ (both >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)


class CleanBlocks(beam.DoFn):
    """Cleans a block and lays its pairs down in one file, sorted by part; yields (part, `Segments`).

    Tagged "tally", what was read and rejected. Nothing is raised for bad content: the tally carries it to the
    driver, whatever runner is between.

    Args:
        files: All inputs.
        options: The stage's options.
        sections: Into how many sections each part is cut, so that one fits in memory.
        work: Folder for the files.
    """

    def __init__(self, files: list[Input], options: Options, sections: int, work: str) -> None:
        self.files, self.options, self.sections, self.work = files, options, sections, work
        self.chosen = thresholds(options.task, options.rules)

    def process(self, block: Block) -> Iterator[Any]:
        """Cleans one block.

        Args:
            block: The block.
        """
        tally = Tally()
        given, path = self.files[block.file][:2]
        try:
            rows = parse(block, path, self.options, tally)
            table = self._clean(rows, block, given, path, tally)
            if table.num_rows:
                yield from self._lay_down(table, f"{self.work}/clean-{block.file:05}-{block.offset}-{block.first}")
        except (OSError, pa.ArrowException) as error:
            tally.problems.append(f"{path} cannot be read after line {block.first}: {error}; is the file complete?")
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _clean(self, rows: Rows, block: Block, given: str, path: str, tally: Tally) -> pa.Table:
        columns = dict(zip(self.options.fields, rows.columns, strict=True))
        table = pa.table(
            {
                **self._sides({name: clean_column(column) for name, column in columns.items()}, len(rows.lines)),
                "line": pa.array(np.asarray(rows.lines, np.int64)),
            }
        )
        # What was given as validation or test text is the user's own choice of pairs.
        chosen = self.chosen if given == "data" else {}
        table = self._judge(table, path, chosen, tally)
        source, target = (folded_column(table[side].combine_chunks()) for side in ("source", "target"))
        exact = (Content(table[side].combine_chunks()).slices() for side in ("source", "target"))
        place, other = hashed(source), hashed(target)
        keys = {"pair": mixed(place, other), "row": mixed(*map(hashed, exact))}
        keys["place"] = place if self._has_source else other
        for name, key in keys.items():
            table = table.append_column(name, pa.array(key))
        number = ("data", "valid_data", "test_data").index(given)
        table = table.append_column("given", pa.array(np.full(len(table), number, np.int8)))
        return table.append_column("file", pa.array(np.full(len(table), block.file, np.int32)))

    @property
    def _has_source(self) -> bool:
        return bool(self.options.source_field)

    def _sides(self, columns: dict[str, pa.Array], count: int) -> dict[str, pa.Array]:
        """The record form that all tasks share: source, target and slice."""
        import pyarrow.compute as pc

        options = self.options
        source = columns[options.source_field] if self._has_source else pa.array([""] * count, pa.string())
        if options.context_field:
            # The form of T5: Raffel et al., 2020, appendix D.
            context = columns[options.context_field]
            joined = pc.binary_join_element_wise("question: ", source, " context: ", context, "")
            some = pc.and_(pc.not_equal(source, ""), pc.not_equal(context, ""))
            source = pc.if_else(some, joined, "")
        sides = {"source": source, "target": columns[options.target_field]}
        return {**sides, "slice": columns[options.slice_field]} if options.slice_field else sides

    def _judge(self, table: pa.Table, path: str, chosen: dict[str, float], tally: Tally) -> pa.Table:
        """Rejects empty rows, rows that are surely too long, and those that a rule rejects."""
        import pyarrow.compute as pc

        source, target = table["source"].combine_chunks(), table["target"].combine_chunks()
        pairs = Pairs(source, target, (self.options.source_language, self.options.target_language))
        empty = pc.equal(target, "")
        if self._has_source:
            empty = pc.or_(empty, pc.equal(source, ""))
        faults = [("empty", empty.to_numpy(zero_copy_only=False))]
        alive = ~faults[0][1]
        most = _CHARACTERS_PER_PIECE * self.options.max_tokens
        long = pc.or_(pc.greater(pc.utf8_length(source), most), pc.greater(pc.utf8_length(target), most))
        faults.append(("too_long", long.to_numpy(zero_copy_only=False) & alive))
        alive &= ~faults[1][1]
        for name, mask in check(pairs, chosen):
            faults.append((name, mask & alive))
            alive &= ~mask
        for name, mask in faults:
            tally.reject_rows(name, table, np.flatnonzero(mask), [path])
        return table if alive.all() else table.filter(pa.array(alive))

    def _lay_down(self, table: pa.Table, path: str) -> Iterator[tuple[int, Segments]]:
        places = table["place"].to_numpy()
        parts = (places % np.uint64(self.options.shards)).astype(np.int64)
        sections = ((places >> np.uint64(32)) * np.uint64(self.sections) >> np.uint64(32)).astype(np.int64)
        bins = parts * self.sections + sections
        order = np.argsort(bins, kind="stable")
        table = table.take(pa.array(order)).combine_chunks()
        edges = np.flatnonzero(np.diff(bins[order], prepend=-1))
        found: dict[int, dict[int, int]] = {}
        with fsspec.open(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            for number, (first, end) in enumerate(zip(edges, [*edges[1:], len(order)], strict=True)):
                part, section = divmod(int(bins[order[first]]), self.sections)
                writer.write_batch(table.slice(first, end - first).to_batches()[0])
                found.setdefault(part, {})[section] = number
        for part, batches in found.items():
            yield part, (path, batches)
