"""Cleaning: blocks of records to clean pairs, written to files where the pairs of a part can be joined."""

import re
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.blocks import Block
from seqline.components.tokenize.content import Content, Mask
from seqline.components.tokenize.filters import Pairs
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rows import Rows, parse
from seqline.components.tokenize.rules import check, thresholds
from seqline.components.tokenize.segments import OURS, PARAMETERS, Segments, hashed, mixed
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.text import clean_column, folded_column
from seqline.inputs.storage import fsspec
from seqline.progress import count

# No token of a learned tokenizer has more than 16 characters, hardly one of a given tokenizer more than 64.
_CHARACTERS_PER_TOKEN = 64


class CleanBlocks(beam.DoFn):
    """Cleans a block and writes its pairs to one file, sorted by part; yields (part, `Segments`).

    Tagged "tally", it yields the counts of rows read and rejected. Bad content raises no error: the tally takes it to
    the driver on any runner.

    Args:
        files: All inputs.
        options: The stage's options.
        sections: Number of sections of each part; one section fits in memory.
        work: Folder for the files.
    """

    def __init__(self, files: list[Input], options: Options, sections: int, work: str) -> None:
        self.files, self.options, self.sections, self.work = files, options, sections, work
        self.thresholds = thresholds(options.task, options.rules)

    def process(self, block: Block) -> Iterator[Any]:
        """Cleans one block.

        Args:
            block: The block.
        """
        tally = Tally()
        path = self.files[block.file].path
        try:
            rows = parse(block, path, self.options.of(self.files[block.file].parameter), tally)
            if self.files[block.file].parameter == "feedback":
                tally.corrections = tally.read
            table = self._clean(rows, block, tally)
            count(clean_blocks=1, rows=len(rows.lines), clean_pairs=table.num_rows)
            if table.num_rows:
                yield from self._write(table, f"{self.work}/clean-{block.file:05}-{block.offset}-{block.first}")
        except (OSError, pa.ArrowException) as error:
            tally.problems.append(
                f"{path} cannot be read after line {block.first}: {error}; check whether the file is complete"
            )
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _clean(self, rows: Rows, block: Block, tally: Tally) -> pa.Table:
        parameter, path = self.files[block.file][:2]
        options = self.options.of(parameter)
        columns = dict(zip(options.fields, map(clean_column, rows.columns), strict=True))
        named = self._sides(columns, len(rows.lines), options)
        table = pa.table({**named, "line": pa.array(np.asarray(rows.lines, np.int64))})
        again = self._header_again(columns, block)
        table = self._filter(table, again, path, parameter, tally)
        sides = [table[side].combine_chunks() for side in ("source", "target")]
        source, target = (hashed(folded_column(side)) for side in sides)
        added = {
            "pair_hash": mixed(source, target),
            "row_hash": mixed(*(hashed(Content(side).slices()) for side in sides)),
            "source_hash": source if self.options.source_field else target,
            "parameter": np.full(len(table), PARAMETERS.index(parameter), np.int8),
            "file": np.full(len(table), block.file, np.int32),
        }
        for name, values in added.items():
            table = table.append_column(name, pa.array(values))
        return table

    def _sides(self, columns: dict[str, pa.Array], count: int, options: Options) -> dict[str, pa.Array]:
        """The columns that all tasks share: source, target and slice, which of feedback is `feedback`."""
        source = columns[options.source_field] if options.source_field else pa.array([""] * count, pa.string())
        if options.context_field:
            # The form of T5: Raffel et al., 2020, appendix D.
            context = columns[options.context_field]
            joined = pc.binary_join_element_wise("question: ", source, " context: ", context, "")
            some = pc.and_(pc.not_equal(source, ""), pc.not_equal(context, ""))
            source = pc.if_else(some, joined, "")
        sides = {"source": source, "target": columns[options.target_field]}
        if not self.options.slice_field:
            return sides
        slices = columns[options.slice_field] if options.slice_field else pa.array(["feedback"] * count, pa.string())
        return {**sides, "slice": slices}

    def _header_again(self, columns: dict[str, pa.Array], block: Block) -> Mask:
        """The rows that are the header once more, as files that were joined with cat have them."""
        rows = len(next(iter(columns.values())))
        again = np.full(rows, block.form in ("tsv", "csv") and (len(columns) > 1 or bool(block.columns)))
        for name, column in columns.items():
            if again.any():
                pattern = rf"^[\s\"]*{re.escape(name)}[\s\"]*$"
                again &= pc.match_substring_regex(column, pattern, ignore_case=True).to_numpy(zero_copy_only=False)
        return again

    def _filter(self, table: pa.Table, again: Mask, path: str, parameter: str, tally: Tally) -> pa.Table:
        """Rejects headers, empty rows, rows that are certainly too long, and those that a rule rejects.

        Of a test set of the user's own, long rows stay.
        """
        source, target = table["source"].combine_chunks(), table["target"].combine_chunks()
        empty = pc.equal(target, "")
        if self.options.source_field:
            empty = pc.or_(empty, pc.equal(source, ""))
        most = _CHARACTERS_PER_TOKEN * self.options.max_tokens
        long = pc.greater(pc.utf8_length(target), most)
        if not self.options.truncates_sources:
            long = pc.or_(pc.greater(pc.utf8_length(source), most), long)
        found = [("empty", empty)] if parameter == "test_data" else [("empty", empty), ("too_long", long)]
        masks = [("header", again), *((name, mask.to_numpy(zero_copy_only=False)) for name, mask in found)]
        if parameter in OURS:
            pairs = Pairs(source, target, (self.options.source_language, self.options.target_language))
            masks += check(pairs, self.thresholds)
        accepted = tally.reject_matches(masks, table, [path])
        return table if accepted.all() else table.filter(pa.array(accepted))

    def _write(self, table: pa.Table, path: str) -> Iterator[tuple[int, Segments]]:
        hashes = table["source_hash"].to_numpy()
        parts = (hashes % np.uint64(self.options.shards)).astype(np.int64)
        sections = ((hashes >> np.uint64(32)) * np.uint64(self.sections) >> np.uint64(32)).astype(np.int64)
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
