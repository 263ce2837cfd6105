"""Batches of static shape and about equal token count, in an order that only the seed and the epoch decide."""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket, assign, choose_buckets, count_batches, heirs
from seqline.components.train.flops import training_flops
from seqline.modeling.config import TransformerConfig

Pair = tuple[np.ndarray, np.ndarray]


class Batches:
    """The batches of a set of pairs.

    Pairs go to the cheapest bucket that holds them.

    Args:
        pairs: Source and target piece ids, without `bos` and `eos`.
        config: The model's shape and special pieces.
        batch_tokens: Padded tokens in a batch, at most, on the longer side.
        buckets: How many shapes, at most.
        replicas: Devices that share a batch; its rows are a multiple, and of eight where there is room.
        like: Batches whose buckets these have too; they must hold the pairs.
    """

    def __init__(
        self,
        pairs: list[Pair],
        config: TransformerConfig,
        batch_tokens: int,
        buckets: int = 16,
        replicas: int = 1,
        like: "Batches | None" = None,
    ) -> None:
        self.config, self.replicas = config, replicas
        bos, eos = (np.array([piece], np.int32) for piece in (config.bos_id, config.eos_id))
        # One empty row more: it fills up a batch that has too few.
        self.source = _ragged([*(np.concatenate([left, eos]) for left, _ in pairs), eos[:0]])
        self.target = _ragged([*(np.concatenate([bos, right, eos]) for _, right in pairs), eos[:0]])
        source = np.array([len(pair[0]) + 1 for pair in pairs])
        target = np.array([len(pair[1]) + 1 for pair in pairs])
        costs = training_flops(config, 1, 0, 1), training_flops(config, 0, 1, 1)
        self.buckets: list[Bucket] = (
            like.buckets if like else choose_buckets(source, target, batch_tokens, buckets, costs, replicas)
        )
        self.assignment = assign(source, target, self.buckets)
        self.heirs = list(heirs(self.buckets))
        self.counts = count_batches(np.bincount(self.assignment, minlength=len(self.buckets)), self.buckets)
        self.tokens = int(target.sum())

    @property
    def padding_share(self) -> float:
        """Share of the target positions of an epoch that hold padding."""
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
            seed: With the epoch, decides the order.
            epoch: Number of the epoch.
            skip: How many batches to leave out at the start, when training continues.
            first: Of the replicas that share a batch, the first one whose part is yielded.
            count: How many replicas' parts, one after the other; all of them by default.

        Returns:
            A dataset of `((source, target in), target out)`, int32: `[rows, source]`, `[rows, target]`,
            `[rows, target]`. Rows without a pair are padding throughout, and count for nothing.
        """
        random = np.random.default_rng((seed, epoch))
        plan: list[tuple[int, np.ndarray]] = []
        waiting = [[random.permutation(np.flatnonzero(self.assignment == n))] for n in range(len(self.buckets))]
        for number, (bucket, batches) in enumerate(zip(self.buckets, self.counts, strict=True)):
            members = np.concatenate(waiting[number])
            plan += [(number, members[i * bucket.rows : (i + 1) * bucket.rows]) for i in range(batches)]
            if number < len(self.heirs):
                waiting[self.heirs[number]].insert(0, members[batches * bucket.rows :])
        order = random.permutation(len(plan))[skip:]
        parts = range(first, first + (self.replicas if count is None else count))
        most = max(bucket.rows for bucket in self.buckets) // self.replicas
        chosen = np.full((len(order) * len(parts), most), -1, np.int32)
        shapes = np.zeros((len(order) * len(parts), 3), np.int32)
        for place, index in enumerate(order):
            number, members = plan[index]
            bucket = self.buckets[number]
            rows = bucket.rows // self.replicas
            for offset, part in enumerate(parts):
                mine = members[part * rows : (part + 1) * rows]
                chosen[place * len(parts) + offset, : len(mine)] = mine
                shapes[place * len(parts) + offset] = (rows, bucket.source, bucket.target)
        planned = tf.data.Dataset.from_tensor_slices((chosen, shapes))
        return planned.map(self._fill, num_parallel_calls=2, deterministic=True).prefetch(4)

    @tf.function
    def _fill(self, chosen: Any, shape: Any) -> Any:
        rows = chosen[: shape[0]]
        rows = tf.where(rows < 0, tf.cast(self.source.nrows() - 1, tf.int32), rows)
        source = tf.gather(self.source, rows).to_tensor(self.config.pad_id)
        whole = tf.gather(self.target, rows).to_tensor(self.config.pad_id)
        source = _widen(source, shape[1], self.config.pad_id)
        whole = _widen(whole, shape[2] + 1, self.config.pad_id)
        expected = whole[:, 1:]
        # The last piece of a target, eos, predicts nothing.
        entered = tf.where(tf.equal(expected, self.config.pad_id), self.config.pad_id, whole[:, :-1])
        return (source, entered), expected


def _ragged(rows: list[np.ndarray]) -> Any:
    return tf.RaggedTensor.from_row_lengths(np.concatenate(rows), np.array([len(row) for row in rows], np.int64))


def _widen(rows: Any, width: Any, filler: int) -> Any:
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=filler)
