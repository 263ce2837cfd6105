"""The few shapes that batches have, chosen to make padding a corpus's pairs as cheap as possible."""

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
        source: Source tokens, end of sentence included.
        target: Target tokens, likewise.
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
            source: Source tokens, end of sentence included.
            target: Target tokens, likewise.
        """
        return (source <= self.source) & (target <= self.target)


def choose_buckets(
    source: np.ndarray,
    target: np.ndarray,
    batch_tokens: int,
    count: int,
    costs: tuple[float, float] = (1.0, 1.0),
    replicas: int = 1,
    counts: np.ndarray | None = None,
) -> list[Bucket]:
    """Chooses shapes for pairs of these lengths; each pair goes to the cheapest shape that holds it.

    The largest shape is that of the longest source and the longest target. The others are added greedily, each the one
    that saves most: this saves at least 1 - 1/e of the optimum (Nemhauser, Wolsey and Fisher 1978). Then shapes are
    removed while that lowers the cost of whole batches, since few pairs do not fill batches of many shapes. Sources and
    targets have separate lengths because in some tasks, such as question answering, one is long and the other short.

    Args:
        source: Source tokens of pairs, end of sentence included.
        target: Target tokens of each, likewise.
        batch_tokens: Padded tokens of a batch, at most, on the longer side.
        count: Number of shapes, at most.
        costs: Cost of computing a source position, and of a target position.
        replicas: Devices that share a batch.
        counts: Pairs that have each of the lengths; one by default.

    Returns:
        The buckets, from the cheapest pair to the most expensive; the last holds every pair.
    """
    counts = np.ones(len(source), np.int64) if counts is None else counts
    lefts, rights = _steps(source, counts), _steps(target, counts)
    pairs = np.zeros((len(lefts), len(rights)))
    np.add.at(pairs, (np.searchsorted(lefts, source), np.searchsorted(rights, target)), counts)
    sources, targets = (lengths.ravel() for lengths in np.meshgrid(lefts, rights, indexing="ij"))

    def price(left: Any, right: Any) -> Any:
        return left * costs[0] + right * costs[1]

    def buckets_of(shapes: list[Shape]) -> list[Bucket]:
        ordered = sorted(shapes, key=lambda shape: (price(*shape), shape))
        return [Bucket(rows_of(batch_tokens // max(shape), replicas), *shape) for shape in ordered]

    def total(shapes: list[Shape]) -> float:
        buckets = buckets_of(shapes)
        sizes = np.bincount(assign(sources, targets, buckets), pairs.ravel(), len(buckets))
        return sum(
            batches * bucket.rows * price(bucket.source, bucket.target)
            for batches, bucket in zip(count_batches(sizes, buckets), buckets, strict=True)
        )

    shapes = _greedy_shapes(lefts, rights, pairs, price(lefts[:, None], rights), count)
    least = total(shapes)
    while len(shapes) > 1:
        fewer = [[other for other in shapes if other != shape] for shape in shapes[1:]]
        totals = [total(remaining) for remaining in fewer]
        if min(totals) >= least:
            break
        least, shapes = min(totals), fewer[int(np.argmin(totals))]
    return buckets_of(shapes)


def assign(source: np.ndarray, target: np.ndarray, buckets: list[Bucket]) -> np.ndarray:
    """Returns the index of each pair's bucket: the first that holds it.

    Args:
        source: Source tokens of each pair, end of sentence included.
        target: Target tokens of each, likewise.
        buckets: From `choose_buckets`.
    """
    return np.argmax([bucket.holds(source, target) for bucket in buckets], axis=0)


def overflow_buckets(buckets: list[Bucket]) -> Iterator[int]:
    """Finds for each bucket but the last the bucket that takes its overflow: pairs that do not fill a batch.

    Args:
        buckets: From `choose_buckets`.

    Yields:
        Index of the next bucket that holds every pair of this one.
    """
    for number, bucket in enumerate(buckets[:-1]):
        later = range(number + 1, len(buckets))
        yield next(index for index in later if buckets[index].holds(bucket.source, bucket.target))


def count_batches(sizes: np.ndarray, buckets: list[Bucket]) -> list[int]:
    """Counts the batches of each bucket; pairs that do not fill a batch go to the overflow bucket.

    Only the last batch of the last bucket may be partly empty.

    Args:
        sizes: Number of pairs assigned to each bucket.
        buckets: From `choose_buckets`.
    """
    waiting = [int(size) for size in sizes]
    for number, overflow in enumerate(overflow_buckets(buckets)):
        waiting[overflow] += waiting[number] % buckets[number].rows
    # The last bucket pads its last batch.
    waiting[-1] += -waiting[-1] % buckets[-1].rows
    return [size // bucket.rows for size, bucket in zip(waiting, buckets, strict=True)]


def rows_of(max_rows: int, replicas: int) -> int:
    """Returns the rows of a batch: a multiple of eight where possible, so that 1, 2, 4 or 8 replicas share equally.

    Args:
        max_rows: Rows that there is room for.
        replicas: Devices that share the batch; each gets one row at least.
    """
    whole = max_rows // 8 * 8 or max_rows
    return max(replicas, whole // replicas * replicas)


def _steps(lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The candidate lengths of buckets: all that occur, or enough of them for a nearly equal choice."""
    values, places = np.unique(lengths, return_inverse=True)
    if len(values) <= STEPS:
        return values
    # Half by frequency; half evenly spaced, for the few pairs that are long.
    ends = np.cumsum(np.bincount(places, counts))
    ranks = np.ceil(np.linspace(0, 1, STEPS // 2 + 1)[1:] * (ends[-1] - 1))
    frequent = values[np.searchsorted(ends, ranks, "right")]
    even = values[np.linspace(0, len(values) - 1, STEPS // 2).round().astype(int)]
    return np.unique(np.concatenate([frequent, even]))


def _greedy_shapes(
    lefts: np.ndarray, rights: np.ndarray, pairs: np.ndarray, prices: np.ndarray, count: int
) -> list[Shape]:
    """Chooses the shape that holds all pairs, then those that save most; ignores that batches are whole.

    Args:
        lefts: Candidate lengths of a source.
        rights: Candidate lengths of a target.
        pairs: Number of pairs by candidate lengths.
        prices: Cost of a pair in a bucket, by candidate lengths.
        count: Number of shapes, at most.
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
    """Returns the saving of each further bucket, given each pair's current cost."""
    savings = np.zeros(pairs.shape)
    for left in range(len(pairs)):
        above = np.maximum(paid[: left + 1, :, None] - prices[left], 0) * pairs[: left + 1, :, None]
        savings[left] = np.triu(above.sum(axis=0)).sum(axis=0)
    return savings
