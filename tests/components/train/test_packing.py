import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.packing import Packs, best_length, pack
from seqline.components.train.pairs import HeldPairs, Pair
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.modeling.gpt import Gpt
from tests.examples import examples

CONFIG = TransformerConfig(
    vocabulary_size=90,
    architecture="gpt",
    encoder_layers=0,
    decoder_layers=1,
    hidden_dim=8,
    intermediate_dim=8,
    num_heads=2,
    dropout=0.0,
    max_length=64,
)


def pairs_of(lengths: list[tuple[int, int]]) -> list[Pair]:
    return [
        (np.full(left, 5, np.int32), np.array([10 + number] + [9] * (right - 1), np.int32))
        for number, (left, right) in enumerate(lengths)
    ]


@given(lengths=st.lists(st.integers(1, 10), min_size=1, max_size=40))
def test_every_item_is_in_one_row_and_no_row_is_too_full(lengths: list[int]) -> None:
    members, ends = pack(np.array(lengths), 10, np.random.default_rng(0))
    rows = np.split(members, ends[:-1])
    assert sorted(members.tolist()) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in row) <= 10 for row in rows)
    assert len(rows) == best_fit_rows(lengths, 10)


def best_fit_rows(lengths: list[int], capacity: int) -> int:
    """The rows that best fit makes of items, one after the other, the longest first."""
    room: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [one for one in room if one >= length]
        if fitting:
            room.remove(min(fitting))
        room.append((min(fitting) if fitting else capacity) - length)
    return len(room)


# The end of a target is learned, although it is the padding token too.
TEMPLATE = CONFIG.with_values(prompt_form="template", pad_id=3, eos_id=3, positions="relative", num_kv_heads=1)
CONFIGS = [CONFIG, TEMPLATE]


@examples(20)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30),
    config=st.sampled_from(CONFIGS),
)
def test_every_target_is_predicted_once_an_epoch_and_no_source(
    lengths: list[tuple[int, int]], config: TransformerConfig
) -> None:
    packs = Packs(HeldPairs(pairs_of(lengths)), config, 128)
    expected = np.concatenate([batch.ravel() for _, batch in packs.dataset(1, 0).as_numpy_iterator()])
    targets = [token for _, target in pairs_of(lengths) for token in (*target, config.eos_id)]
    assert sorted(expected[expected != config.padding]) == sorted(targets)


@pytest.mark.parametrize(
    ("config", "ids", "expected"),
    [
        (CONFIG, [7, 8, 3, 2, 9], [0, 0, 0, 9, 3]),
        (CONFIGS[1], [7, 8, 9], [-1, 9, 3]),
    ],
    ids=["seqline", "template"],
)
def test_a_prompt_has_the_form_of_the_model(config: TransformerConfig, ids: list[int], expected: list[int]) -> None:
    packs = Packs(HeldPairs([(np.array([7, 8], np.int32), np.array([9], np.int32))]), config, 64)
    (((found, _, _), predicted),) = packs.dataset(1, 0).as_numpy_iterator()
    assert found[0, : len(ids)].tolist() == ids
    assert predicted[0, : len(ids)].tolist() == expected
    (_, rows), (start,) = Gpt(config).prompts([([7, 8], [])], room=2)
    assert rows[0, : start + 1].tolist() == ids[:-1]


def test_a_prompt_without_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="a prompt has no tokens: the template must have some text"):
        Packs(HeldPairs([(np.array([], np.int32), np.array([9], np.int32))]), TEMPLATE, 64)


@pytest.mark.parametrize("config", [CONFIG, TEMPLATE], ids=["seqline", "template"])
def test_an_example_in_a_pack_gets_the_logits_that_it_gets_alone(config: TransformerConfig) -> None:
    model = Gpt(config)
    pairs = pairs_of([(3, 4), (2, 5), (9, 6)])  # the first two fit into a row of the third's length
    ((fields, _),) = Packs(HeldPairs(pairs), config, 64).dataset(1, 0).as_numpy_iterator()
    row = int(fields[1].max(axis=1).argmax())
    rows = [field[row] for field in fields]
    packed = model(tuple(row[None] for row in rows)).numpy()[0]
    assert set(rows[1]) >= {1, 2}
    for segment in (1, 2):
        inside = rows[1] == segment
        alone = model(tuple(row[None, inside] for row in rows)).numpy()[0]
        np.testing.assert_allclose(packed[inside], alone, atol=1e-5)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), share=st.sampled_from([1e-9, 1e-3, 1.0]))
def test_rows_have_the_length_that_takes_the_fewest_operations(lengths: list[int], share: float) -> None:
    def operations(length: int) -> float:
        return best_fit_rows(lengths, length) * length * (1 + share * length)

    longest = max(lengths)
    found = best_length(np.bincount(lengths), 2 * longest, share, multiple=1)
    assert longest <= found <= 2 * longest
    assert operations(found) <= min(operations(longest), operations(2 * longest))


def test_no_iterator_waits_for_a_tuning_thread_when_it_ends() -> None:
    assert Packs(HeldPairs(pairs_of([(3, 4), (5, 6)])), CONFIG, 256).dataset(1, 0).options().autotune.enabled is False
