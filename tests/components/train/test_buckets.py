import math
from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.buckets import Bucket, assign, choose_buckets, count_batches, overflow_buckets
from tests.examples import examples

COSTS = (1.0, 2.0)
LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


def sides(lengths: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.array(lengths).T
    return source, target


def cost(lengths: list[tuple[int, int]], shapes: list[tuple[int, int]]) -> float:
    """Cost of the pairs, each in the cheapest shape that holds it."""
    return sum(
        min(COSTS[0] * left + COSTS[1] * right for left, right in shapes if source <= left and target <= right)
        for source, target in lengths
    )


@examples(100)
@given(lengths=LENGTHS, count=st.integers(1, 3))
def test_the_choice_is_close_to_the_best_buckets(lengths: list[tuple[int, int]], count: int) -> None:
    source, target = sides(lengths)
    largest = (int(source.max()), int(target.max()))
    # Enough of each that all batches are full.
    buckets = choose_buckets(source.repeat(64), target.repeat(64), 8, count, COSTS)
    assert len(buckets) <= count
    whole = cost(lengths, [largest])
    saved = whole - cost(lengths, [(bucket.source, bucket.target) for bucket in buckets])
    corners = list(product(set(source.tolist()), set(target.tolist())))
    others = combinations(corners, min(count - 1, len(corners)))
    best = whole - min(cost(lengths, [*shapes, largest]) for shapes in others)
    assert saved >= (1 - 1 / math.e) * best - 1e-9


def test_few_pairs_get_no_buckets_that_they_do_not_fill() -> None:
    lengths = np.random.default_rng(1).integers(10, 40, 600)
    areas = []
    for pairs in (lengths, lengths.repeat(100)):
        buckets = choose_buckets(pairs, pairs, 4096, 16)
        counts = count_batches(np.bincount(assign(pairs, pairs, buckets), minlength=len(buckets)), buckets)
        areas.append(sum(n * bucket.rows * bucket.target for n, bucket in zip(counts, buckets, strict=True)))
        assert sum(n * bucket.rows for n, bucket in zip(counts, buckets, strict=True)) >= len(pairs)
        assert (len(buckets) == 16) == (len(pairs) > 600)
    assert areas[1] / (lengths.sum() * 100) < areas[0] / lengths.sum() < 1.4


@examples(100)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=100),
    count=st.integers(1, 16),
)
def test_each_pair_is_in_the_cheapest_bucket_that_holds_it_and_has_an_overflow_bucket(
    lengths: list[tuple[int, int]], count: int
) -> None:
    source, target = sides(lengths)
    buckets = choose_buckets(source, target, 512, count, COSTS)
    chosen = assign(source, target, buckets)
    shapes = [(bucket.source, bucket.target) for bucket in buckets]
    assert cost(lengths, shapes) == sum(COSTS[0] * shapes[n][0] + COSTS[1] * shapes[n][1] for n in chosen)
    for number, overflow in enumerate(overflow_buckets(buckets)):
        assert overflow > number
        assert buckets[overflow].holds(*shapes[number])
    assert buckets[-1].holds(int(source.max()), int(target.max()))


def test_long_sources_with_short_targets_are_not_padded_to_the_longest_target() -> None:
    random = np.random.default_rng(1)
    source, target = random.integers(80, 100, 2000), random.choice([3, 30], 2000)
    buckets = choose_buckets(source, target, 4096, 16)
    held = np.array([buckets[n].target for n in assign(source, target, buckets)])
    assert 1 - target.sum() / held.sum() < 0.05


def test_a_batch_holds_about_as_many_tokens_in_every_bucket() -> None:
    lengths = np.repeat(np.arange(4, 100), 5)
    for bucket in choose_buckets(lengths, lengths, 4096, 16):
        assert 0.75 * 4096 < bucket.rows * bucket.target <= 4096
    assert str(Bucket(48, 85, 6)) == "48x85+6"
    assert str(Bucket(128, 32, 32)) == "128x32"
