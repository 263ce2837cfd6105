"""Splitting: the pairs of one part, without duplicates, to training, validation and test."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.components.tokenize.cleaning import Segments
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rules import thresholds
from seqline.components.tokenize.tally import Tally

SPLITS = ("train", "valid", "test")
_DATA, _VALID, _TEST = range(3)
_ROWS = 1 << 15


class SplitPairs(beam.DoFn):
    """Splits the pairs of a part; all pairs with the same source are in the same part and section.

    Yields (name of a split's work, (part, file)): training pairs are the work of their part, held-out pairs that
    of their split. Pairs are in the order of their places. Tagged "tally", the counts. The result does not depend
    on the order of the input. Given validation and test files are kept as they are, but for validation pairs whose
    source is in the test; their sources are taken out of the training data.

    Args:
        files: All inputs.
        options: The stage's options.
        sections: Into how many sections each part is cut.
        work: Folder for the files.
    """

    def __init__(self, files: list[Input], options: Options, sections: int, work: str) -> None:
        self.files, self.options, self.sections, self.work = files, options, sections, work
        given = {file.given for file in files}
        self.test_share = 0.0 if "test_data" in given else options.test_share
        self.valid_share = 0.0 if "valid_data" in given else options.valid_share
        self.chosen = thresholds(options.task, options.rules)
        self.paths = [file.path for file in files]

    def process(self, part: tuple[int, Iterable[Segments | None]]) -> Iterator[Any]:
        """Splits one part.

        Args:
            part: Its number, and where its pairs are, in any order.
        """
        number, found = part
        readers = [(open_batches(path), batches) for path, batches in sorted(filter(None, found))]
        tally = Tally()
        paths = {split: f"{self.work}/{split}-{number:05}" for split in SPLITS}
        writers: dict[str, Any] = {}
        for section in range(self.sections):
            batches = [reader.get_batch(numbers[section]) for reader, numbers in readers if section in numbers]
            if not batches:
                continue
            table = _sorted(pa.Table.from_batches(batches).combine_chunks())
            splits = self._assign(table, tally)
            for index, split in enumerate(SPLITS):
                rows = np.flatnonzero(splits == index)
                if len(rows):
                    tally.candidates[split] += len(rows)
                    if split not in writers:
                        file = fsspec.open(paths[split], "wb").open()
                        writers[split] = (file, pa.ipc.new_file(file, table.schema))
                    writers[split][1].write_table(table.take(pa.array(rows)), max_chunksize=_ROWS)
        for split, (file, writer) in writers.items():
            writer.close()
            file.close()
            yield (f"train-{number:05}" if split == "train" else split), (number, paths[split])
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _assign(self, table: pa.Table, tally: Tally) -> npt.NDArray[np.int8]:
        """The split of each row, by its place in `SPLITS`; -1 for a row left out, which is counted."""
        given, place, pair, row = (table[name].to_numpy() for name in ("given", "place", "pair", "row"))
        data = given == _DATA
        share = place / 2.0**64
        splits = np.where(share < self.test_share, 2, np.where(share < self.test_share + self.valid_share, 1, 0))
        splits = np.where(data, splits, given).astype(np.int8)
        alive = np.ones(len(table), bool)
        again = np.zeros(len(table), bool)
        # Sorted: equal pairs are neighbours, and among near ones those that are quite the same.
        again[1:] = (place[1:] == place[:-1]) & (pair[1:] == pair[:-1]) & data[1:] & data[:-1]
        exact = again & (row == np.roll(row, 1))
        in_test = np.isin(place, place[given == _TEST]) & (given != _TEST)
        in_valid = np.isin(place, place[(given == _VALID) & ~in_test]) & data
        for name, mask in (
            ("duplicate", exact),
            ("near_duplicate", again & ~exact),
            ("in_test", in_test),
            ("in_valid", in_valid),
        ):
            if name in self.chosen:
                rejected = mask & alive
                tally.reject_rows(name, table, np.flatnonzero(rejected), self.paths)
                alive &= ~rejected
        return np.where(alive, splits, -1).astype(np.int8)


def open_batches(path: str) -> Any:
    """Opens a file of record batches, of which few are read: it is mapped, or read in ranges.

    Args:
        path: Local or a URL.
    """
    if "://" in path:
        return pa.ipc.open_file(fsspec.open(path, "rb", cache_type="none").open())
    return pa.ipc.open_file(pa.memory_map(path))


def _sorted(table: pa.Table) -> pa.Table:
    """In an order that only the pairs decide: by place, the same pairs beside each other."""
    keys = [table[name].to_numpy() for name in ("line", "file", "row", "pair", "given", "place")]
    if "slice" in table.column_names:
        # The same pair with two slices: the first by name stays.
        _, ranks = np.unique(table["slice"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
        keys.insert(2, ranks)
    return table.take(pa.array(np.lexsort(keys)))
