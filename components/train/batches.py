"""Batches of static shape and about equal token count, in an order that depends on the seed and the epoch only."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket, assign, choose_buckets, count_batches, overflow_buckets
from seqline.components.train.copy_exercises import CopyExercises
from seqline.components.train.epochs import EpochBatches
from seqline.components.train.flops import training_flops
from seqline.components.train.lengths import Lengths
from seqline.components.train.pairs import Pairs, Tokens
from seqline.modeling.config import TransformerConfig

STRIPS = 8
"""Equal parts of a window, from each of which a batch has equally many pairs where it can: a replica's pairs are near
each other, and 1, 2, 4 or 8 replicas share the same batches."""
IDS = tf.TensorSpec((None, None), tf.int32)

Planned = tuple[int, np.ndarray]
"""A batch: its bucket's number, and its rows of the window; -1 for a row without a pair."""


class Batches(EpochBatches[Planned]):
    """The batches of a set of pairs; a pair goes to the cheapest bucket that holds it.

    An array of a batch is int32: `((source, target in), target out)`, `[rows, source]`, `[rows, target]`,
    `[rows, target]`. Rows without a pair hold only padding, which the loss ignores.

    Args:
        pairs: The pairs.
        config: The model's configuration.
        batch_tokens: Padded tokens in a batch, at most, on the longer side.
        buckets: Number of shapes, at most.
        replicas: Devices that share a batch; its rows are a multiple of them, and of eight where there is room.
        by_source: Whether only the source's length decides a pair's bucket; all buckets hold the longest target.
        exercises: Replace pairs in the first batches of the training; None for none.
    """

    signature = ((IDS, IDS), IDS)

    def __init__(
        self,
        pairs: Pairs,
        config: TransformerConfig,
        batch_tokens: int,
        buckets: int = 16,
        replicas: int = 1,
        by_source: bool = False,
        exercises: CopyExercises | None = None,
    ) -> None:
        self.pairs, self.config, self.replicas, self.exercises = pairs, config, replicas, exercises
        table = pairs.table
        self.tokens = table.target_tokens + table.pairs
        self._target = int(table.target.max()) if by_source else None
        costs = training_flops(config, 1, 0, 1), training_flops(config, 0, 1, 1)
        self.buckets: list[Bucket] = choose_buckets(
            *self._sides(table.source, table.target), batch_tokens, buckets, costs, replicas, table.counts
        )
        self.overflow = list(overflow_buckets(self.buckets))
        self.window_counts = np.array([self._count(one) for one in pairs.tables()])

    @property
    def areas(self) -> list[int]:
        """See `EpochBatches`: target positions."""
        return [bucket.rows * bucket.target for bucket in self.buckets]

    def filled(self, lengths: np.ndarray, counts: np.ndarray | int = 1) -> int:
        """See `EpochBatches`."""
        return int(((lengths[:, 1] + 1) * counts).sum(dtype=np.int64))

    def area(self, plans: list[Planned]) -> int:
        """See `EpochBatches`."""
        areas = self.areas
        return sum(areas[number] for number, _ in plans)

    def assignment(self, lengths: np.ndarray) -> np.ndarray:
        """The number of each pair's bucket.

        Args:
            lengths: Lengths of pairs, `[pairs, 2]`.
        """
        return assign(*self._sides(lengths[:, 0], lengths[:, 1]), self.buckets)

    def plan(self, lengths: np.ndarray, random: np.random.Generator) -> list[Planned]:
        """See `EpochBatches`."""
        assignment = self.assignment(lengths)
        counts = count_batches(np.bincount(assignment, minlength=len(self.buckets)), self.buckets)
        waiting = [[np.flatnonzero(assignment == number)] for number in range(len(self.buckets))]
        plans: list[Planned] = []
        for number, (bucket, batches) in enumerate(zip(self.buckets, counts, strict=True)):
            members = random.permutation(np.concatenate(waiting[number]))
            taken, rest = np.split(members, [batches * bucket.rows])
            if number < len(self.overflow):
                waiting[self.overflow[number]].append(rest)
            if not batches:
                continue
            taken = np.append(np.sort(taken), np.full(batches * bucket.rows - len(taken), -1))
            strips = math.lcm(math.gcd(bucket.rows, STRIPS), self.replicas)
            shuffled = random.permuted(taken.reshape(strips, -1), axis=1).reshape(strips, batches, -1)
            plans += ((number, rows) for rows in shuffled.transpose(1, 0, 2).reshape(batches, bucket.rows))
        return [plans[index] for index in random.permutation(len(plans))]

    def part(self, plan: Planned, replica: int) -> tuple[Planned, np.ndarray]:
        """See `EpochBatches`."""
        number, rows = plan
        size = len(rows) // self.replicas
        own = rows[replica * size : (replica + 1) * size]
        return (number, own), own[own >= 0]

    def fill(self, plan: Planned, tokens: Tokens) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """See `EpochBatches`."""
        number, rows = plan
        bucket, config = self.buckets[number], self.config
        source, entered, expected = (
            np.full((len(rows), width), config.padding, np.int32)
            for width in (bucket.source, bucket.target, bucket.target)
        )
        (real,) = np.nonzero(rows >= 0)
        left, left_lengths = tokens.of(rows[real], 0)
        right, right_lengths = tokens.of(rows[real], 1)
        _place(source, real, left, left_lengths)
        source[real, left_lengths] = config.eos_id
        entered[real, 0] = config.start
        _place(entered[:, 1:], real, right, right_lengths)
        _place(expected, real, right, right_lengths)
        expected[real, right_lengths] = config.eos_id
        return (source, entered), expected

    def changed(self, arrays: Any, seed: int, batch: int, replica: int) -> Any:
        """See `EpochBatches`: with exercises, some pairs are replaced."""
        if self.exercises is None:
            return arrays
        return self.exercises.put(arrays, seed, batch, replica, self.replicas)

    def _sides(self, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens that decide a pair's bucket, ends included."""
        target = target if self._target is None else np.full_like(target, self._target)
        return source + 1, target + 1

    def _count(self, table: Lengths) -> list[int]:
        assignment = assign(*self._sides(table.source, table.target), self.buckets)
        sizes = np.zeros(len(self.buckets), np.int64)
        np.add.at(sizes, assignment, table.counts)
        return count_batches(sizes, self.buckets)


def _place(array: np.ndarray, rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> None:
    """Writes ids to the starts of rows."""
    places = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    array[np.repeat(rows, lengths), places] = ids
