"""The few shapes that batches have, chosen so that padding a corpus's pairs to them costs the least."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

STEPS = 32
Shape = tuple[int, int]


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

    def __str__(self) -> str:
        """Such as 128x32, or 128x40+32 where source and target differ."""
        return f"{self.rows}x{self.source}" + (f"+{self.target}" if self.target != self.source else "")

    def holds(self, source: Any, target: Any) -> Any:
        """Whether pairs of these lengths fit in.

        Args:
            source: Source pieces, end of sentence included.
            target: Target pieces, likewise.
        """
        return (source <= self.source) & (target <= self.target)


def choose_buckets(
    source: np.ndarray,
    target: np.ndarray,
    batch_tokens: int,
    count: int,
    costs: tuple[float, float] = (1.0, 1.0),
    replicas: int = 1,
) -> list[Bucket]:
    """Chooses shapes for pairs of these lengths, each pair going to the cheapest that holds it.

    The largest is that of the longest source and the longest target. The others are added one by one, each the one
    that saves most: this saves at least 1 - 1/e of what the best choice would (Nemhauser, Wolsey and Fisher 1978).
    Then those go without which the whole batches cost less: of few pairs, many do not fill a batch of their bucket.
    Sources and targets are told apart because some tasks have long ones and short ones, such as questions about a text.

    Args:
        source: Source pieces of each pair, end of sentence included.
        target: Target pieces of each, likewise.
        batch_tokens: Padded tokens of a batch, at most, on the longer side.
        count: How many shapes, at most.
        costs: What a source position takes to compute, and what a target position.
        replicas: Devices that share a batch.

    Returns:
        The buckets, the cheapest pair first; the last holds every pair.
    """
    lefts, rights = _steps(source), _steps(target)
    pairs = np.zeros((len(lefts), len(rights)))
    np.add.at(pairs, (np.searchsorted(lefts, source), np.searchsorted(rights, target)), 1)
    sources, targets = (lengths.ravel() for lengths in np.meshgrid(lefts, rights, indexing="ij"))

    def price(left: Any, right: Any) -> Any:
        return left * costs[0] + right * costs[1]

    def made(shapes: list[Shape]) -> list[Bucket]:
        ordered = sorted(shapes, key=lambda shape: (price(*shape), shape))
        return [Bucket(rows_of(batch_tokens // max(shape), replicas), *shape) for shape in ordered]

    def total(shapes: list[Shape]) -> float:
        buckets = made(shapes)
        sizes = np.bincount(assign(sources, targets, buckets), pairs.ravel(), len(buckets))
        return sum(
            batches * bucket.rows * price(bucket.source, bucket.target)
            for batches, bucket in zip(count_batches(sizes, buckets), buckets, strict=True)
        )

    shapes = _most_saving(lefts, rights, pairs, price(lefts[:, None], rights), count)
    least = total(shapes)
    while len(shapes) > 1:
        fewer = [[other for other in shapes if other != shape] for shape in shapes[1:]]
        totals = [total(left) for left in fewer]
        if min(totals) >= least:
            break
        least, shapes = min(totals), fewer[int(np.argmin(totals))]
    return made(shapes)


def assign(source: np.ndarray, target: np.ndarray, buckets: list[Bucket]) -> np.ndarray:
    """The number of each pair's bucket: the first that holds it.

    Args:
        source: Source pieces of each pair, end of sentence included.
        target: Target pieces of each, likewise.
        buckets: From `choose_buckets`.
    """
    return np.argmax([bucket.holds(source, target) for bucket in buckets], axis=0)


def heirs(buckets: list[Bucket]) -> Iterator[int]:
    """For each bucket but the last, where what does not fill a batch of it goes: the next that holds all it may have.

    Args:
        buckets: From `choose_buckets`.
    """
    for number, bucket in enumerate(buckets[:-1]):
        later = range(number + 1, len(buckets))
        yield next(heir for heir in later if buckets[heir].holds(bucket.source, bucket.target))


def count_batches(sizes: np.ndarray, buckets: list[Bucket]) -> list[int]:
    """Batches of each bucket, when what does not fill one goes to the heir; only the last batch of all may have room.

    Args:
        sizes: How many pairs are assigned to each.
        buckets: From `choose_buckets`.
    """
    waiting = [int(size) for size in sizes]
    for number, heir in enumerate(heirs(buckets)):
        waiting[heir] += waiting[number] % buckets[number].rows
    # Of the last bucket all go in.
    waiting[-1] += -waiting[-1] % buckets[-1].rows
    return [size // bucket.rows for size, bucket in zip(waiting, buckets, strict=True)]


def rows_of(most: int, replicas: int) -> int:
    """Rows of a batch: as many as there is room for, in whole eights, so that 1, 2, 4 or 8 replicas share the same.

    Args:
        most: Rows that there is room for.
        replicas: Devices that share the batch; each gets one row at least.
    """
    whole = most // 8 * 8 or most
    return max(replicas, whole // replicas * replicas)


def _steps(lengths: np.ndarray) -> np.ndarray:
    """The lengths that a bucket may have: all that there are, or so many that what is chosen is hardly worse."""
    values = np.unique(lengths)
    if len(values) <= STEPS:
        return values
    # Half of them by how many pairs have them, half evenly, for the few that are long.
    often = np.quantile(lengths, np.linspace(0, 1, STEPS // 2 + 1)[1:], method="higher")
    evenly = values[np.linspace(0, len(values) - 1, STEPS // 2).round().astype(int)]
    return np.unique(np.concatenate([often, evenly]))


def _most_saving(
    lefts: np.ndarray, rights: np.ndarray, pairs: np.ndarray, prices: np.ndarray, count: int
) -> list[Shape]:
    """The shape that holds all, and those that save most beside it, whole batches not looked at.

    Args:
        lefts: Lengths of a source.
        rights: Lengths of a target.
        pairs: How many pairs there are of each two.
        prices: What a pair in a bucket of each two takes to compute.
        count: How many shapes, at most.
    """
    paid = np.full(pairs.shape, prices[-1, -1])
    shapes = [(int(lefts[-1]), int(rights[-1]))]
    while len(shapes) < count:
        savings = _savings(pairs, paid, prices)
        left, right = np.unravel_index(int(np.argmax(savings)), savings.shape)
        if savings[left, right] <= 0:
            break
        shapes.append((int(lefts[left]), int(rights[right])))
        inside = np.s_[: left + 1, : right + 1]
        paid[inside] = np.minimum(paid[inside], prices[left, right])
    return shapes


def _savings(pairs: np.ndarray, paid: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """What each further bucket would save, of pairs by length that are paid so much for so far."""
    savings = np.zeros(pairs.shape)
    for left in range(len(pairs)):
        above = np.maximum(paid[: left + 1, :, None] - prices[left], 0) * pairs[: left + 1, :, None]
        savings[left] = np.triu(above.sum(axis=0)).sum(axis=0)
    return savings
