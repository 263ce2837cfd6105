"""Batches of static shape and about equal token count, in an order that depends on the seed and the epoch only."""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket, assign, choose_buckets, count_batches, overflow_buckets
from seqline.components.train.flops import training_flops
from seqline.components.train.records import Pair, without_autotuning
from seqline.modeling.config import TransformerConfig


class Batches:
    """The batches of a set of pairs; a pair goes to the cheapest bucket that holds it.

    Args:
        pairs: Source and target token ids, without `bos` and `eos`.
        config: The model's configuration.
        batch_tokens: Padded tokens in a batch, at most, on the longer side.
        buckets: Number of shapes, at most.
        replicas: Devices that share a batch; its rows are a multiple of them, and of eight where there is room.
        like: Batches whose buckets to reuse; they must hold the pairs.
        by_source: Whether only the source's length decides a pair's bucket; all buckets hold the longest target.
    """

    def __init__(
        self,
        pairs: list[Pair],
        config: TransformerConfig,
        batch_tokens: int,
        buckets: int = 16,
        replicas: int = 1,
        like: "Batches | None" = None,
        by_source: bool = False,
    ) -> None:
        self.config, self.replicas = config, replicas
        bos, eos = (np.array([token], np.int32) for token in (config.start, config.eos_id))
        # The last, empty row pads batches that have too few.
        self.source = _ragged([*(np.concatenate([left, eos]) for left, _ in pairs), eos[:0]])
        self.target = _ragged([*(np.concatenate([bos, right, eos]) for _, right in pairs), eos[:0]])
        source = np.array([len(pair[0]) + 1 for pair in pairs])
        target = np.array([len(pair[1]) + 1 for pair in pairs])
        self.tokens = int(target.sum())
        if by_source:
            target[:] = target.max()
        costs = training_flops(config, 1, 0, 1), training_flops(config, 0, 1, 1)
        self.buckets: list[Bucket] = (
            like.buckets if like else choose_buckets(source, target, batch_tokens, buckets, costs, replicas)
        )
        self.assignment = assign(source, target, self.buckets)
        self.overflow = list(overflow_buckets(self.buckets))
        self.counts = count_batches(np.bincount(self.assignment, minlength=len(self.buckets)), self.buckets)

    @property
    def padding_share(self) -> float:
        """Share of an epoch's target positions that are padding."""
        area = sum(count * bucket.rows * bucket.target for count, bucket in zip(self.counts, self.buckets, strict=True))
        return 1 - self.tokens / area

    @property
    def shapes(self) -> str:
        """The buckets, for a log line."""
        return ", ".join(map(str, self.buckets))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return sum(self.counts)

    def dataset(self, seed: int, epoch: int, skip: int = 0, first: int = 0, count: int | None = None) -> Any:
        """The batches of one epoch.

        Args:
            seed: Seed of the order, together with the epoch.
            epoch: Number of the epoch.
            skip: Batches to skip at the start, when training resumes.
            first: First of the replicas whose parts of a batch are yielded.
            count: Number of replicas whose parts are yielded, one after the other; all of them by default.

        Returns:
            A dataset of `((source, target in), target out)`, int32: `[rows, source]`, `[rows, target]`,
            `[rows, target]`. Rows without a pair hold only padding, which the loss ignores.
        """
        random = np.random.default_rng((seed, epoch))
        plan: list[tuple[int, np.ndarray]] = []
        waiting = [[random.permutation(np.flatnonzero(self.assignment == n))] for n in range(len(self.buckets))]
        for number, (bucket, batches) in enumerate(zip(self.buckets, self.counts, strict=True)):
            members = np.concatenate(waiting[number])
            plan += [(number, members[i * bucket.rows : (i + 1) * bucket.rows]) for i in range(batches)]
            if number < len(self.overflow):
                waiting[self.overflow[number]].insert(0, members[batches * bucket.rows :])
        order = random.permutation(len(plan))[skip:]
        parts = range(first, first + (self.replicas if count is None else count))
        max_rows = max(bucket.rows for bucket in self.buckets) // self.replicas
        chosen = np.full((len(order) * len(parts), max_rows), -1, np.int32)
        shapes = np.zeros((len(order) * len(parts), 3), np.int32)
        for position, index in enumerate(order):
            number, members = plan[index]
            bucket = self.buckets[number]
            rows = bucket.rows // self.replicas
            for offset, part in enumerate(parts):
                part_members = members[part * rows : (part + 1) * rows]
                chosen[position * len(parts) + offset, : len(part_members)] = part_members
                shapes[position * len(parts) + offset] = (rows, bucket.source, bucket.target)
        planned = tf.data.Dataset.from_tensor_slices((chosen, shapes))
        return without_autotuning(planned.map(self._fill, num_parallel_calls=2, deterministic=True).prefetch(4))

    @tf.function
    def _fill(self, chosen: Any, shape: Any) -> Any:
        rows = chosen[: shape[0]]
        rows = tf.where(rows < 0, tf.cast(self.source.nrows() - 1, tf.int32), rows)
        source = tf.gather(self.source, rows).to_tensor(self.config.padding)
        whole = tf.gather(self.target, rows).to_tensor(self.config.padding)
        source = _widen(source, shape[1], self.config.padding)
        whole = _widen(whole, shape[2] + 1, self.config.padding)
        expected = whole[:, 1:]
        # The last token of a target, eos, predicts nothing.
        entered = tf.where(tf.equal(expected, self.config.padding), self.config.padding, whole[:, :-1])
        return (source, entered), expected


def _ragged(rows: list[np.ndarray]) -> Any:
    return tf.RaggedTensor.from_row_lengths(np.concatenate(rows), np.array([len(row) for row in rows], np.int64))


def _widen(rows: Any, width: Any, pad_id: int) -> Any:
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=pad_id)
