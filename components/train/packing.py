"""Batches for a decoder-only model: several examples in each row, packed with little padding."""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket, rows_of
from seqline.components.train.records import Pair, without_autotuning
from seqline.modeling.config import TransformerConfig
from seqline.modeling.gpt import prompt


class Packs:
    """The batches of a set of pairs, all of one shape.

    An example is one sequence: the prompt (see `seqline.modeling.gpt.prompt`) and the target. The model predicts the
    target and a final `eos` only.

    Args:
        pairs: Source and target token ids, without `bos` and `eos`.
        config: The model's configuration.
        batch_tokens: Positions in a batch, at most.
        multiple: The rows' length is rounded up to a multiple of it.
        replicas: Devices that share a batch; its rows are a multiple of them, and of eight where there is room.
        like: Packs whose shape to reuse; it must hold every pair.
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
        around = len(prompt(config, [0])) - 1
        lengths = np.array([len(left) + len(right) + around for left, right in pairs])
        # Rows of several average examples pack well; longer rows only make attention expensive.
        needed = max(int(lengths.max()), 4 * int(lengths.mean()))
        self.length = min(-(-needed // multiple) * multiple, max(config.max_length, int(lengths.max())))
        if like:
            self.length = like.length
        self.rows = rows_of(batch_tokens // self.length, replicas)
        packs = pack(lengths, self.length)
        shape = (len(packs) + 1, self.length)
        # The last, empty row pads the last batch.
        self.ids, self.segments, self.positions, self.expected = (np.zeros(shape, np.int32) for _ in range(4))
        self.ids[:], self.expected[:] = config.filler, config.padding
        for row, members in enumerate(packs):
            start = 0
            for segment, index in enumerate(members):
                left, right = pairs[index]
                end = start + lengths[index]
                before = prompt(config, left.tolist())
                self.ids[row, start:end] = np.concatenate([before, right])
                self.expected[row, start + len(before) - 1 : end] = np.concatenate([right, [config.eos_id]])
                self.segments[row, start:end] = segment + 1
                self.positions[row, start:end] = np.arange(end - start)
                start = end
        self.tokens = int(sum(len(right) + 1 for _, right in pairs))
        self.positions_filled = int(lengths.sum())

    @property
    def padding_share(self) -> float:
        """Share of an epoch's positions that are padding."""
        return 1 - self.positions_filled / (len(self) * self.rows * self.length)

    @property
    def buckets(self) -> list[Bucket]:
        """The one shape of all batches."""
        return [Bucket(self.rows, self.length, self.length)]

    @property
    def counts(self) -> list[int]:
        """Batches of an epoch by bucket."""
        return [len(self)]

    @property
    def shapes(self) -> str:
        """The shape, for a log line."""
        return str(self.buckets[0])

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-(len(self.ids) - 1) // self.rows)

    def dataset(self, seed: int, epoch: int, skip: int = 0, first: int = 0, count: int | None = None) -> Any:
        """The batches of one epoch; see `Batches.dataset`.

        Args:
            seed: Seed of the order, together with the epoch.
            epoch: Number of the epoch.
            skip: Batches to skip at the start, when training resumes.
            first: First of the replicas whose parts of a batch are yielded.
            count: Number of replicas whose parts are yielded; all of them by default.

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

        return without_autotuning(tf.data.Dataset.from_tensor_slices(chosen).map(fill).prefetch(4))


def pack(lengths: np.ndarray, capacity: int) -> list[list[int]]:
    """Packs items into rows by best fit: the longest first, each into the row where it leaves the least room.

    Args:
        lengths: Lengths of the items; none exceeds the capacity.
        capacity: Capacity of a row.

    Returns:
        Indices of the items in each row.
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
