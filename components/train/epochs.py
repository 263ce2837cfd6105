"""The batches of an epoch, planned and read a window of the corpus at a time."""

import gc
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket
from seqline.components.train.pairs import Pairs, Tokens, Window
from seqline.errors import UserError

Plan = TypeVar("Plan")


class EpochBatches(ABC, Generic[Plan]):
    """Batches whose order depends on the seed and the epoch only.

    Each window has batches of its own, so that only one is in memory: the windows come in a random order, and the pairs
    of each are shuffled.

    Attributes:
        pairs: The pairs.
        replicas: Devices that share a batch.
        buckets: The shapes of batches.
        tokens: Target tokens of an epoch, ends included.
        window_counts: For each window its batches by bucket, `[windows, buckets]`.
        problem: Why no more batches can be read; None if they can.
    """

    pairs: Pairs
    replicas: int
    buckets: list[Bucket]
    tokens: int
    window_counts: np.ndarray
    signature: Any
    problem: UserError | None = None

    @property
    def counts(self) -> list[int]:
        """Batches of an epoch by bucket."""
        return [int(count) for count in self.window_counts.sum(axis=0)]

    @property
    def shapes(self) -> str:
        """The buckets, for a log line."""
        return ", ".join(map(str, self.buckets))

    @property
    def padding_share(self) -> float:
        """Share of an epoch's positions, of the targets where they are apart, that are padding."""
        table = self.pairs.table
        filled = self.filled(np.stack((table.source, table.target), axis=1), table.counts)
        return 1 - filled / sum(count * area for count, area in zip(self.counts, self.areas, strict=True))

    @property
    @abstractmethod
    def areas(self) -> list[int]:
        """The positions of a batch of each bucket."""

    @abstractmethod
    def filled(self, lengths: np.ndarray, counts: np.ndarray | int = 1) -> int:
        """The positions that pairs fill.

        Args:
            lengths: Lengths of pairs, `[pairs, 2]`.
            counts: Pairs that have each of the lengths.
        """

    @abstractmethod
    def area(self, plans: list[Plan]) -> int:
        """The positions of batches.

        Args:
            plans: The batches.
        """

    @abstractmethod
    def plan(self, lengths: np.ndarray, random: np.random.Generator) -> list[Plan]:
        """Plans the batches of a window, in random order.

        Args:
            lengths: Lengths of its pairs, `[pairs, 2]`.
            random: Decides the order.
        """

    @abstractmethod
    def part(self, plan: Plan, replica: int) -> tuple[Plan, np.ndarray]:
        """The part of a batch that a replica trains on, and the rows of the window that it has.

        Args:
            plan: The batch.
            replica: The replica's number.
        """

    @abstractmethod
    def fill(self, plan: Plan, tokens: Tokens) -> Any:
        """Makes the arrays of a part.

        Args:
            plan: The part.
            tokens: The ids of its rows.
        """

    def __len__(self) -> int:
        """Batches in an epoch."""
        return int(self.window_counts.sum())

    @property
    def limit(self) -> int:
        """Batches in an epoch, at most."""
        return len(self)

    def dataset(self, seed: int, epoch: int, skip: int = 0, first: int = 0, count: int | None = None) -> Any:
        """The batches of one epoch.

        Args:
            seed: Seed of the order, together with the epoch.
            epoch: Number of the epoch.
            skip: Batches to skip at the start, when training resumes.
            first: First of the replicas whose parts of a batch are yielded; only their pairs are read.
            count: Number of replicas whose parts are yielded, one after the other; all of them by default.

        Returns:
            A dataset of what `fill` makes.
        """
        return self.made_of(lambda replicas: self.parts(seed, epoch, skip, replicas), first, count)

    def made_of(self, batches: Callable[[Sequence[int]], Iterator[Any]], first: int, count: int | None) -> Any:
        """Makes a dataset.

        Args:
            batches: Yields the parts of batches of the given replicas.
            first: See `dataset`.
            count: See `dataset`.
        """
        replicas = range(first, first + (self.replicas if count is None else count))

        def noting_problems() -> Iterator[Any]:
            try:
                yield from batches(replicas)
            except UserError as problem:
                # TensorFlow would report it as an internal error.
                self.problem = problem
                raise

        made = tf.data.Dataset.from_generator(noting_problems, output_signature=self.signature)
        return without_autotuning(made.prefetch(4))

    def parts(self, seed: int, epoch: int, skip: int, replicas: Sequence[int]) -> Iterator[Any]:
        """Yields the parts of an epoch's batches that some replicas train on, one after the other.

        Args:
            seed: Seed of the order, together with the epoch.
            epoch: Number of the epoch.
            skip: Batches to skip at the start.
            replicas: Numbers of the replicas.
        """
        start = 0
        for number in window_order(seed, epoch, self.pairs.windows).tolist():
            end = start + int(self.window_counts[number].sum())
            if end > skip:
                window = self.pairs.window(number)
                plans = self.plan(window.lengths, np.random.default_rng((seed, epoch, number)))
                first = max(start, skip)
                yield from self.of_window(window, plans[first - start :], replicas, (seed, epoch, first))
            start = end

    def of_window(
        self, window: Window, plans: list[Plan], replicas: Sequence[int], place: tuple[int, int, int]
    ) -> Iterator[Any]:
        """Reads the pairs of batches and makes their arrays.

        Args:
            window: The window.
            plans: Its batches.
            replicas: The replicas whose parts are yielded.
            place: The seed, the epoch and the number of the first of the batches in it.
        """
        parts = [(*self.part(plan, replica), replica) for plan in plans for replica in replicas]
        wanted = np.zeros(len(window.lengths), bool)
        for _, rows, _ in parts:
            wanted[rows] = True
        tokens = window.read(np.flatnonzero(wanted))
        seed, epoch, first = place
        for number, (plan, _, replica) in enumerate(parts):
            batch = epoch * len(self) + first + number // len(replicas)
            yield self.changed(self.fill(plan, tokens), seed, batch, replica)

    def changed(self, arrays: Any, seed: int, batch: int, replica: int) -> Any:
        """Changes a part of a batch before training; not at all by default.

        Args:
            arrays: What `fill` made.
            seed: Seed of the training.
            batch: Number of the batch, from the start of the training.
            replica: Number of the replica whose part it is.
        """
        return arrays


def window_order(seed: int, epoch: int, windows: int) -> np.ndarray:
    """The order of the windows in an epoch.

    Args:
        seed: Seed of the order, together with the epoch.
        epoch: Number of the epoch.
        windows: Number of windows.
    """
    return np.random.default_rng((seed, epoch)).permutation(windows)


@contextmanager
def iterators_ended() -> Iterator[None]:
    """Ends the iterators of datasets when an error leaves the block.

    An iterator that the error's traceback holds would end with the interpreter, and could not end its generator then:
    TensorFlow reports that on the user's terminal.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise


def without_autotuning(dataset: Any) -> Any:
    """Turns off the autotuning of a dataset, whose sizes of buffers and pools are constants here.

    The destructor of an iterator waits for the autotuning thread, which sleeps for up to 41 s between its rounds.

    Args:
        dataset: A `tf.data.Dataset`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
