"""Batches of static shape and about equal token count, in an order that only the seed and the epoch decide."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.train.model.config import TransformerConfig

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bucket:
    """One of the few shapes that batches have.

    Attributes:
        rows: Pairs in a batch.
        source: Source pieces, end of sentence included.
        target: Target pieces, likewise.
    """

    rows: int
    source: int
    target: int


class Batches:
    """The batches of a set of pairs.

    Pairs go to the smallest bucket that holds them. Bucket lengths are quantiles of the corpus's own lengths, so
    that each bucket gets about as many pairs and little is padding.

    Args:
        pairs: Source and target piece ids, without `bos` and `eos`.
        config: The model's shape and special pieces.
        batch_tokens: Padded target tokens in a batch, at most.
        buckets: How many shapes.
        multiple: Lengths and rows are rounded to a multiple of it.
    """

    def __init__(
        self, pairs: list[Pair], config: TransformerConfig, batch_tokens: int, buckets: int = 10, multiple: int = 2
    ) -> None:
        self.pairs, self.config = pairs, config
        source = np.array([len(pair[0]) + 1 for pair in pairs])
        target = np.array([len(pair[1]) + 1 for pair in pairs])
        longest = np.maximum(source, target)
        edges = np.unique(_round_up(np.quantile(longest, np.linspace(0, 1, buckets + 1)[1:]), multiple))
        self.assignment = np.searchsorted(edges, longest)
        self.buckets = []
        for number, edge in enumerate(edges):
            inside = self.assignment == number
            lengths = [
                int(_round_up(side[inside].max(), multiple)) if inside.any() else int(edge) for side in (source, target)
            ]
            rows = max(multiple, int(batch_tokens // max(lengths)) // multiple * multiple)
            self.buckets.append(Bucket(rows, *lengths))
        self.tokens = int(target.sum())

    @property
    def padding_share(self) -> float:
        """Share of the target positions of an epoch that hold padding."""
        area = 0
        for number, bucket in enumerate(self.buckets):
            rows = int((self.assignment == number).sum())
            area += -(-rows // bucket.rows) * bucket.rows * bucket.target
        return 1 - self.tokens / area

    def __len__(self) -> int:
        """Batches in an epoch."""
        return sum(
            -(-int((self.assignment == number).sum()) // bucket.rows) for number, bucket in enumerate(self.buckets)
        )

    def epoch(self, seed: int, epoch: int, skip: int = 0) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        """Yields the batches of one epoch.

        Args:
            seed: With the epoch, decides the order.
            epoch: Number of the epoch.
            skip: How many batches to leave out at the start, when training continues.

        Yields:
            `((source, target in), target out)`, int32: `[rows, source]`, `[rows, target]`, `[rows, target]`.
        """
        random = np.random.default_rng((seed, epoch))
        plan: list[tuple[int, np.ndarray]] = []
        for number, bucket in enumerate(self.buckets):
            members = random.permutation(np.flatnonzero(self.assignment == number))
            plan += [(number, members[i : i + bucket.rows]) for i in range(0, len(members), bucket.rows)]
        for index in random.permutation(len(plan))[skip:]:
            number, members = plan[index]
            yield self.batch(self.buckets[number], [self.pairs[i] for i in members])

    def batch(self, bucket: Bucket, pairs: list[Pair]) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Fills one batch; rows without a pair are padding throughout, and count for nothing.

        Args:
            bucket: Its shape.
            pairs: At most `bucket.rows` pairs that fit.
        """
        source = np.full((bucket.rows, bucket.source), self.config.pad_id, np.int32)
        entered = np.full((bucket.rows, bucket.target), self.config.pad_id, np.int32)
        expected = np.full((bucket.rows, bucket.target), self.config.pad_id, np.int32)
        entered[:, 0] = self.config.bos_id
        for row, (left, right) in enumerate(pairs):
            source[row, : len(left)] = left
            source[row, len(left)] = self.config.eos_id
            entered[row, 1 : len(right) + 1] = right
            expected[row, : len(right)] = right
            expected[row, len(right)] = self.config.eos_id
        return (source, entered), expected


def _round_up(number: float | np.ndarray, multiple: int) -> np.ndarray:
    return (np.ceil(np.asarray(number) / multiple) * multiple).astype(int)
