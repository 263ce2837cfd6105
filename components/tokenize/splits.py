"""Splitting: the pairs of one part, without duplicates, to training, validation and test."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rules import thresholds
from seqline.components.tokenize.segments import PARAMETERS, Segments, open_batches
from seqline.components.tokenize.tally import Tally
from seqline.inputs.storage import fsspec
from seqline.progress import count

SPLITS = ("train", "valid", "test")
_DATA, _VALID, _TEST, _FEEDBACK = range(len(PARAMETERS))
_ROWS = 1 << 15


class SplitPairs(beam.DoFn):
    """Splits the pairs of a part; all pairs with the same source are in the same part and section.

    Yields (name of a unit of work, (part, file)): the training pairs of each part are one unit, the pairs of each
    held-out split another. Pairs are sorted by source_hash. Tagged "tally", it yields the counts. The result does not
    depend on the order of the input. Validation and test files are used as given, except that validation pairs
    whose source is in the test set are rejected, and so are training pairs whose source is in either.

    Args:
        files: All inputs.
        options: The stage's options.
        sections: Number of sections of each part.
        work: Folder for the files.
    """

    def __init__(self, files: list[Input], options: Options, sections: int, work: str) -> None:
        self.sections, self.work = sections, work
        given = {file.parameter for file in files}
        self.test_share = 0.0 if "test_data" in given else options.test_share
        self.valid_share = 0.0 if "valid_data" in given else options.valid_share
        self.thresholds = thresholds(options.task, options.rules)
        self.paths = [file.path for file in files]

    def process(self, part: tuple[int, Iterable[Segments | None]]) -> Iterator[Any]:
        """Splits one part.

        Args:
            part: Its number, and the files of its pairs, in any order.
        """
        number, found = part
        files = sorted(filter(None, found))
        # To open a URL again is another request; a local file is closed again, since a process may not open many.
        readers = {path: open_batches(path) for path, _ in files if "://" in path}
        tally = Tally()
        paths = {split: f"{self.work}/{split}-{number:05}" for split in SPLITS}
        writers: dict[str, Any] = {}
        with ExitStack() as stack:
            for section in range(self.sections):
                batches = [
                    (readers.get(path) or open_batches(path)).get_batch(numbers[section])
                    for path, numbers in files
                    if section in numbers
                ]
                if not batches:
                    continue
                table = _sorted(pa.Table.from_batches(batches).combine_chunks())
                splits = self._assign(table, tally)
                for index, split in enumerate(SPLITS):
                    rows = np.flatnonzero(splits == index)
                    if len(rows):
                        tally.candidates[split] += len(rows)
                        if split not in writers:
                            file = stack.enter_context(fsspec.open(paths[split], "wb"))
                            writers[split] = stack.enter_context(pa.ipc.new_file(file, table.schema))
                        writers[split].write_table(table.take(pa.array(rows)), max_chunksize=_ROWS)
        for split in writers:
            yield (f"train-{number:05}" if split == "train" else split), (number, paths[split])
        count(split_pairs=tally.candidates.total())
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _assign(self, table: pa.Table, tally: Tally) -> npt.NDArray[np.int8]:
        """The split of each row, by its index in `SPLITS`; -1 for a rejected row, which is counted."""
        columns = ("parameter", "source_hash", "pair_hash", "row_hash")
        parameter, source, pair, row = (table[name].to_numpy() for name in columns)
        data = parameter == _DATA
        share = source / 2.0**64
        splits = np.where(share < self.test_share, 2, np.where(share < self.test_share + self.valid_share, 1, 0))
        splits = np.where(data, splits, parameter).astype(np.int8)
        # What people corrected is for training alone: whoever writes it must not choose what the gate measures.
        feedback = parameter == _FEEDBACK
        splits[feedback] = 0
        again = np.zeros(len(table), bool)
        # The table is sorted: equal pairs are neighbours, and exact duplicates are neighbours among near ones.
        again[1:] = (source[1:] == source[:-1]) & (pair[1:] == pair[:-1]) & (parameter[1:] == parameter[:-1])
        again &= data | feedback
        exact = again & (row == np.roll(row, 1)) | feedback & np.isin(row, row[data])
        again |= feedback & np.isin(pair, pair[data])
        in_test = np.isin(source, source[parameter == _TEST]) & (parameter != _TEST)
        in_test |= feedback & np.isin(source, source[data & (splits == 2)])
        in_valid = np.isin(source, source[(parameter == _VALID) & ~in_test]) & (data | feedback)
        in_valid |= feedback & np.isin(source, source[data & (splits == 1)])
        masks = {"duplicate": exact, "near_duplicate": again & ~exact, "in_test": in_test, "in_valid": in_valid}
        applied = [(name, mask) for name, mask in masks.items() if name in self.thresholds]
        return np.where(tally.reject_matches(applied, table, self.paths), splits, -1).astype(np.int8)


def _sorted(table: pa.Table) -> pa.Table:
    """Sorts by source_hash, with equal pairs next to each other: an order that depends on the pairs alone."""
    keys = [table[name].to_numpy() for name in ("line", "file", "row_hash", "pair_hash", "parameter", "source_hash")]
    if "slice" in table.column_names:
        # Of the same pair in two slices, the first slice by name stays.
        _, ranks = np.unique(table["slice"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
        keys.insert(2, ranks)
    return table.take(pa.array(np.lexsort(keys)))
