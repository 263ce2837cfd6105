"""Batches for a decoder-only model: several examples in each row, packed so that little is padding."""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.batches import Pair
from seqline.components.train.buckets import rows_of
from seqline.modeling.config import TransformerConfig


class Packs:
    """The batches of a set of pairs, all of one shape.

    An example is one sequence: the source, `eos`, `bos`, the target. What follows `bos` is predicted, and `eos` at
    its end; the source is only a prompt.

    Args:
        pairs: Source and target piece ids, without `bos` and `eos`.
        config: The model's shape and special pieces.
        batch_tokens: Positions in a batch, at most.
        multiple: The rows' length is rounded to a multiple of it.
        replicas: Devices that share a batch; its rows are a multiple, and of eight where there is room.
        like: Packs whose shape these have too; it must hold every pair.
    """

    def __init__(
        self,
        pairs: list[Pair],
        config: TransformerConfig,
        batch_tokens: int,
        multiple: int = 8,
        replicas: int = 1,
        like: "Packs | None" = None,
    ) -> None:
        self.config, self.replicas = config, replicas
        lengths = np.array([len(left) + len(right) + 2 for left, right in pairs])
        # Rows of several average examples pack well; longer ones only make attention dear.
        needed = max(int(lengths.max()), 4 * int(lengths.mean()))
        self.length = min(-(-needed // multiple) * multiple, max(config.max_length, int(lengths.max())))
        if like:
            self.length = like.length
        self.rows = rows_of(batch_tokens // self.length, replicas)
        packs = pack(lengths, self.length)
        shape = (len(packs) + 1, self.length)
        # One empty row more: it fills up a batch that has too few.
        self.ids, self.segments, self.positions, self.expected = (np.zeros(shape, np.int32) for _ in range(4))
        self.ids[:], self.expected[:] = config.pad_id, config.pad_id
        for row, members in enumerate(packs):
            start = 0
            for segment, index in enumerate(members):
                left, right = pairs[index]
                end = start + lengths[index]
                self.ids[row, start:end] = np.concatenate([left, [config.eos_id, config.bos_id], right])
                self.expected[row, start + len(left) + 1 : end] = np.concatenate([right, [config.eos_id]])
                self.segments[row, start:end] = segment + 1
                self.positions[row, start:end] = np.arange(end - start)
                start = end
        self.tokens = int(sum(len(right) + 1 for _, right in pairs))
        self.positions_filled = int(lengths.sum())

    @property
    def padding_share(self) -> float:
        """Share of the positions of an epoch that hold padding."""
        return 1 - self.positions_filled / (len(self) * self.rows * self.length)

    @property
    def shapes(self) -> str:
        """The one shape, for a log line."""
        return f"{self.rows}x{self.length}"

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-(len(self.ids) - 1) // self.rows)

    def dataset(self, seed: int, epoch: int, skip: int = 0, first: int = 0, count: int | None = None) -> Any:
        """The batches of one epoch; see `Batches.dataset`.

        Args:
            seed: With the epoch, decides the order.
            epoch: Number of the epoch.
            skip: How many batches to leave out at the start, when training continues.
            first: Of the replicas that share a batch, the first one whose part is yielded.
            count: How many replicas' parts; all of them by default.

        Returns:
            A dataset of `((ids, segments, positions), expected)`, each int32 `[rows, length]`.
        """
        real = len(self.ids) - 1
        order = np.full(len(self) * self.rows, real)
        order[:real] = np.random.default_rng((seed, epoch)).permutation(real)
        count = self.replicas if count is None else count
        chosen = order.reshape(len(self), self.replicas, self.rows // self.replicas)[skip:, first : first + count]
        chosen = chosen.reshape(-1, self.rows // self.replicas)
        fields = [tf.constant(field) for field in (self.ids, self.segments, self.positions, self.expected)]

        def fill(rows: Any) -> Any:
            ids, segments, positions, expected = (tf.gather(field, rows) for field in fields)
            return (ids, segments, positions), expected

        return tf.data.Dataset.from_tensor_slices(chosen).map(fill).prefetch(4)


def pack(lengths: np.ndarray, capacity: int) -> list[list[int]]:
    """Puts items into rows: the longest first, each where it leaves the least room.

    Args:
        lengths: Of the items; none exceeds the capacity.
        capacity: Of a row.

    Returns:
        The items of each row, by index.
    """
    with_room: list[list[list[int]]] = [[] for _ in range(capacity + 1)]
    packs: list[list[int]] = []
    for index in np.argsort(-lengths, kind="stable"):
        length = int(lengths[index])
        room = next((room for room in range(length, capacity) if with_room[room]), capacity)
        if room < capacity:
            members = with_room[room].pop()
        else:
            members = []
            packs.append(members)
        members.append(int(index))
        with_room[room - length].append(members)
    return packs
