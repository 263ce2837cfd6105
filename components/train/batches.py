"""Batches of static shape and about equal token count, in an order that only the seed and the epoch decide."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.train.config import TransformerConfig

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

    Pairs go to the smallest bucket that holds them. Bucket lengths are those that make the least padding of the
    corpus's own lengths.

    Args:
        pairs: Source and target piece ids, without `bos` and `eos`.
        config: The model's shape and special pieces.
        batch_tokens: Padded target tokens in a batch, at most.
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
        self.buckets: list[Bucket]
        if like:
            self.buckets = like.buckets
            holds = [(source <= bucket.source) & (target <= bucket.target) for bucket in self.buckets]
            self.assignment = np.argmax(holds, axis=0)
        else:
            self.buckets, self.assignment = self._choose(source, target, batch_tokens, buckets)
        self.counts, carried = [], 0
        for number, bucket in enumerate(self.buckets):
            carried += int((self.assignment == number).sum())
            last = number == len(self.buckets) - 1
            self.counts.append(-(-carried // bucket.rows) if last else carried // bucket.rows)
            carried -= self.counts[-1] * bucket.rows
        self.tokens = int(target.sum())

    def _choose(
        self, source: np.ndarray, target: np.ndarray, batch_tokens: int, buckets: int
    ) -> tuple[list[Bucket], np.ndarray]:
        """Buckets for pairs of these lengths, and which pair goes to which."""
        longest = np.maximum(source, target)
        edges = bucket_edges(longest, buckets)
        assignment = np.searchsorted(edges, longest)
        # What is left over of a bucket goes to the next one, which must hold it.
        lengths = np.array([[side[assignment <= n].max() for side in (source, target)] for n in range(len(edges))])
        rows = [rows_of(int(batch_tokens // edge), self.replicas) for edge in edges]
        chosen = [Bucket(count, int(left), int(right)) for count, (left, right) in zip(rows, lengths, strict=True)]
        return chosen, assignment

    @property
    def padding_share(self) -> float:
        """Share of the target positions of an epoch that hold padding."""
        area = sum(count * bucket.rows * bucket.target for count, bucket in zip(self.counts, self.buckets, strict=True))
        return 1 - self.tokens / area

    @property
    def shapes(self) -> str:
        """The buckets, for a log line."""
        return ", ".join(f"{bucket.rows}x{bucket.target}" for bucket in self.buckets)

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
        left = np.zeros(0, int)
        for number, (bucket, batches) in enumerate(zip(self.buckets, self.counts, strict=True)):
            members = np.concatenate([left, random.permutation(np.flatnonzero(self.assignment == number))])
            plan += [(number, members[i * bucket.rows : (i + 1) * bucket.rows]) for i in range(batches)]
            left = members[batches * bucket.rows :]
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


def rows_of(most: int, replicas: int) -> int:
    """Rows of a batch: as many as there is room for, in whole eights, so that 1, 2, 4 or 8 replicas share the same.

    Args:
        most: Rows that there is room for.
        replicas: Devices that share the batch; each gets one row at least.
    """
    whole = most // 8 * 8 or most
    return max(replicas, whole // replicas * replicas)


def bucket_edges(lengths: np.ndarray, buckets: int) -> np.ndarray:
    """Chooses the lengths of buckets so that the items have the fewest positions in the smallest that holds them.

    Args:
        lengths: Of the items.
        buckets: At most so many.

    Returns:
        The buckets' lengths, rising; the last is the greatest of all.
    """
    values, counts = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    # cost[i]: positions of the items of the first i lengths, the last bucket ending with the i-th.
    cost = np.full(len(values) + 1, np.inf)
    cost[0] = 0.0
    choices = []
    for _ in range(min(buckets, len(values))):
        totals = [cost[:end] + (below[end] - below[:end]) * values[end - 1] for end in range(1, len(cost))]
        choices.append([0, *(int(np.argmin(total)) for total in totals)])
        cost = np.array([np.inf, *(total.min() for total in totals)])
    edges, end = [], len(values)
    for choice in reversed(choices):
        edges.append(values[end - 1])
        end = choice[end]
    return np.array(edges[::-1])


def _ragged(rows: list[np.ndarray]) -> Any:
    return tf.RaggedTensor.from_row_lengths(np.concatenate(rows), np.array([len(row) for row in rows], np.int64))


def _widen(rows: Any, width: Any, filler: int) -> Any:
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=filler)
