"""Splitting: the pairs of one shard, without duplicates, to training, validation and test."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from components.tokenize.options import Options
from components.tokenize.rows import Block, Given, place
from components.tokenize.tally import Tally

PLACES = 2**64


class SplitPairs(beam.DoFn):
    """Splits the pairs of a shard; all pairs with the same source are in the same shard.

    Yields (shard, {split: block}), pairs in the order of their places; tagged "sample", a block of training
    pairs to learn the tokenizer from; tagged "tally", the counts. The result does not depend on the order of
    the input. Given validation and test files are kept as they are, but for validation pairs whose source is in
    the test; their sources are taken out of the training data.

    Args:
        options: The stage's options.
        given: The parameters that name files: "data" and maybe "valid_data", "test_data".
    """

    def __init__(self, options: Options, given: frozenset[Given]) -> None:
        self.options = options
        self.given = given

    def process(self, shard: tuple[int, Iterable[tuple[Given, Block]]]) -> Iterator[Any]:
        """Splits one shard.

        Args:
            shard: Its number, and its blocks in any order.
        """
        number, blocks = shard
        rows: dict[Given, list[str]] = {"data": [], "valid_data": [], "test_data": []}
        for given, block in blocks:
            rows[given] += block.split("\n") if block else []
        tally = Tally()
        test_sources = set(map(_source, rows["test_data"]))
        valid = []
        for row in rows["valid_data"]:
            if _source(row) in test_sources:
                tally.reject("in_test", *row.split("\t"))
            else:
                valid.append(row)
        splits: dict[str, list[str]] = {"train": [], "valid": valid, "test": rows["test_data"]}
        self._assign(sorted(rows["data"]), test_sources, set(map(_source, valid)), splits, tally)
        for split, found in splits.items():
            found.sort(key=lambda row: (place(_source(row)), row))
            tally.candidates[split] += len(found)
        # Ordered by a hash, the first are a uniform sample.
        sample = splits["train"][: -(-self.options.tokenizer_sample // self.options.shards)]
        yield number, {split: "\n".join(found) for split, found in splits.items()}
        yield beam.pvalue.TaggedOutput("sample", (number, "\n".join(sample)))
        yield beam.pvalue.TaggedOutput("tally", tally)

    def _assign(
        self, rows: list[str], test: set[str], valid: set[str], splits: dict[str, list[str]], tally: Tally
    ) -> None:
        """Puts each row of `data` into a split, or rejects it."""
        test_share = 0.0 if "test_data" in self.given else self.options.test_share
        valid_share = 0.0 if "valid_data" in self.given else self.options.valid_share
        previous = ""
        for row in rows:
            source, _, target = row.partition("\t")
            if row == previous:
                tally.reject("duplicate", source, target)
            elif source in test:
                tally.reject("in_test", source, target)
            elif source in valid:
                tally.reject("in_valid", source, target)
            elif self.options.drop_identical and source == target:
                tally.reject("identical", source, target)
            else:
                share = place(source) / PLACES
                split = "test" if share < test_share else "valid" if share < test_share + valid_share else "train"
                splits[split].append(row)
            previous = row


def _source(row: str) -> str:
    return row.partition("\t")[0]
