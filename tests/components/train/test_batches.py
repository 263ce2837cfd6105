import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.batches import Batches
from seqline.components.train.pairs import HeldPairs
from seqline.modeling.config import TransformerConfig
from tests.examples import examples

CONFIG = TransformerConfig(vocabulary_size=50, hidden_dim=8, num_heads=2)
LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=120)


def pairs_of(lengths: list[tuple[int, int]]) -> HeldPairs:
    """Pairs with distinct first target tokens."""
    return HeldPairs(
        [
            (np.full(source, 5, np.int32), np.array([number + 4] + [9] * (target - 1), np.int32))
            for number, (source, target) in enumerate(lengths)
        ]
    )


@examples(15)
@given(lengths=LENGTHS, seed=st.integers(0, 9))
def test_every_pair_comes_once_an_epoch_in_a_bucket_that_holds_it(lengths: list[tuple[int, int]], seed: int) -> None:
    batches = Batches(pairs_of(lengths), CONFIG, 256)
    seen, count = [], 0
    for (source, entered), expected in batches.dataset(seed, 0).as_numpy_iterator():
        count += 1
        assert any(source.shape == (bucket.rows, bucket.source) for bucket in batches.buckets)
        assert entered.shape == expected.shape
        for row in range(len(source)):
            if expected[row].any():
                assert entered[row, 0] == CONFIG.bos_id
                seen.append(int(expected[row, 0]) - 4)
                left, right = lengths[seen[-1]]
                assert (source[row] != CONFIG.pad_id).sum() == left + 1
                assert source[row, left] == CONFIG.eos_id
                assert expected[row, right] == CONFIG.eos_id
                assert (expected[row] != CONFIG.pad_id).sum() == right + 1
    assert sorted(seen) == list(range(len(lengths)))
    assert count == len(batches)


@examples(8)
@given(lengths=LENGTHS, skip=st.integers(0, 10))
def test_an_epoch_that_resumes_yields_the_remaining_batches(lengths: list[tuple[int, int]], skip: int) -> None:
    batches = Batches(pairs_of(lengths), CONFIG, 128)
    whole, remaining = (list(batches.dataset(3, 2, skipped).as_numpy_iterator()) for skipped in (0, skip))
    assert len(remaining) == max(0, len(whole) - skip)
    for (_, expected), (_, again) in zip(whole[skip:], remaining, strict=True):
        np.testing.assert_array_equal(expected, again)


def test_the_order_changes_from_epoch_to_epoch() -> None:
    batches = Batches(pairs_of([(3, 3)] * 64), CONFIG, 64)
    first, second = (np.concatenate([e for _, e in batches.dataset(1, epoch).as_numpy_iterator()]) for epoch in (0, 1))
    assert not np.array_equal(first, second)


def test_the_padding_share_is_that_of_the_batches() -> None:
    batches = Batches(pairs_of([(2, 3), (9, 8), (4, 4), (30, 25)]), CONFIG, 64)
    expected = [target for _, target in batches.dataset(0, 0).as_numpy_iterator()]
    padding = sum((target == CONFIG.pad_id).sum() for target in expected) / sum(target.size for target in expected)
    assert abs(batches.padding_share - padding) < 1e-9


def test_no_iterator_waits_for_a_tuning_thread_when_it_ends() -> None:
    assert Batches(pairs_of([(3, 4), (5, 6)]), CONFIG, 256).dataset(1, 0).options().autotune.enabled is False


@examples(8)
@given(lengths=LENGTHS)
def test_buckets_by_source_mix_targets_of_all_lengths(lengths: list[tuple[int, int]]) -> None:
    batches = Batches(pairs_of(lengths), CONFIG, 256, by_source=True)
    assert {bucket.target for bucket in batches.buckets} == {max(right for _, right in lengths) + 1}
    assert batches.tokens == sum(right + 1 for _, right in lengths)
    # The bucket of a pair would be the same with any other target.
    others = Batches(pairs_of([(left, max(right for _, right in lengths)) for left, _ in lengths]), CONFIG, 256)
    given, longest = np.array(lengths), np.array([(left, max(right for _, right in lengths)) for left, _ in lengths])
    np.testing.assert_array_equal(batches.assignment(given), others.assignment(longest))


def test_a_batch_of_buckets_by_source_holds_kinds_of_pairs_in_their_shares() -> None:
    lengths = [(10, 2 + 10 * (number % 2)) for number in range(400)]
    for by_source, mixed in ((True, True), (False, False)):
        batches = Batches(pairs_of(lengths), CONFIG, 256, by_source=by_source)
        long = [
            float(((e != CONFIG.pad_id).sum(axis=1) > 5).mean()) for _, e in batches.dataset(1, 0).as_numpy_iterator()
        ]
        assert all(0.1 < share < 0.9 for share in long[:-1]) == mixed
