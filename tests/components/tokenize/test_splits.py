"""Splitting by source: no source in two splits, no dependence on order, no move when data is added."""

import random

from hypothesis import given
from hypothesis import strategies as st

from components.tokenize.options import Options
from components.tokenize.splits import SplitPairs
from components.tokenize.tally import Tally

OPTIONS = Options(valid_share=0.3, test_share=0.3, shards=1)
rows = st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from("xyz")).map("\t".join), max_size=30)


def split(options: Options = OPTIONS, **given_rows: list[str]) -> tuple[dict[str, list[str]], Tally, list[str]]:
    blocks = [(given, "\n".join(found)) for given, found in given_rows.items()]
    main, sample, tally = SplitPairs(options, frozenset(given_rows)).process((0, blocks))
    splits = {name: block.split("\n") if block else [] for name, block in main[1].items()}
    return splits, tally.value, sample.value[1].split("\n") if sample.value[1] else []


def sources(found: list[str]) -> set[str]:
    return {row.partition("\t")[0] for row in found}


@given(rows)
def test_no_source_is_in_two_splits_and_every_row_is_accounted_for(data: list[str]) -> None:
    splits, tally, _ = split(data=data)
    train, valid, test = (sources(splits[name]) for name in ("train", "valid", "test"))
    assert not train & valid
    assert not train & test
    assert not valid & test
    kept = [row for found in splits.values() for row in found]
    assert sorted(kept) == sorted(set(data))
    assert len(data) == len(kept) + tally.rejected["duplicate"]
    assert tally.candidates == {name: len(found) for name, found in splits.items()}


@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(data: list[str], order: random.Random) -> None:
    shuffled = list(data)
    order.shuffle(shuffled)
    assert split(data=shuffled)[0] == split(data=data)[0]


@given(rows, rows)
def test_adding_data_moves_no_pair(data: list[str], more: list[str]) -> None:
    before, after = split(data=data)[0], split(data=data + more)[0]
    for name, found in before.items():
        assert set(found) <= set(after[name])


@given(rows, rows, rows)
def test_given_files_are_kept_and_their_sources_leave_the_training(
    data: list[str], valid: list[str], test: list[str]
) -> None:
    splits, tally, _ = split(data=data, valid_data=valid, test_data=test)
    assert sorted(splits["test"]) == sorted(test)
    assert sorted(splits["valid"]) == sorted(row for row in valid if not sources([row]) & sources(test))
    assert not sources(splits["train"]) & (sources(test) | sources(splits["valid"]))
    assert len(data) + len(valid) == len(splits["train"]) + len(splits["valid"]) + tally.rejected.total()


def test_shares_are_met_on_many_sources() -> None:
    data = [f"{number}\tx" for number in range(20_000)]
    splits, _, _ = split(Options(valid_share=0.05, test_share=0.1), data=data)
    assert 900 < len(splits["valid"]) < 1100
    assert 1850 < len(splits["test"]) < 2150


def test_identical_sides_leave_only_when_asked() -> None:
    data = ["a\ta", "b\tc"]
    assert split(data=data)[1].rejected == {}
    assert split(Options(drop_identical=True), data=data)[1].rejected == {"identical": 1}


def test_the_tokenizer_sees_training_pairs_only_and_no_more_than_asked() -> None:
    data = [f"{number}\tx" for number in range(1000)]
    splits, _, sample = split(Options(valid_share=0.2, test_share=0.2, tokenizer_sample=100, shards=1), data=data)
    assert len(sample) == 100
    assert set(sample) <= set(splits["train"])
