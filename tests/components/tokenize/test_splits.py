"""Splitting by source: no source in two splits, no dependence on order, no move when data is added."""

import random
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.components.tokenize.blocks import Block
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.splits import SplitPairs
from seqline.components.tokenize.tally import Tally

OPTIONS = Options(valid_share=0.3, test_share=0.3, shards=1, rules={"identical": False, "symbols": False})
rows = st.lists(st.tuples(st.text("abA.", min_size=1, max_size=3), st.sampled_from("xyX")).map("\t".join), max_size=25)
few = settings(max_examples=40, deadline=None)


def split(options: Options = OPTIONS, sections: int = 3, **given_rows: list[str]) -> tuple[dict[str, list[str]], Tally]:
    with tempfile.TemporaryDirectory() as folder:
        files, tallies, segments = [], [], []
        for name, found in given_rows.items():
            path = Path(folder, name)
            path.write_text("\n".join(found), encoding="utf-8")
            files.append(Input(name, str(path)))
        for number, (name, found) in enumerate(given_rows.items()):
            if found:
                block = Block(number, "tsv", f"{folder}/{name}", 0, 1 << 20, 1)
                for item in CleanBlocks(files, options, sections, folder).process(block):
                    (tallies if hasattr(item, "value") else segments).append(getattr(item, "value", item))
        found_segments = [segment for _, segment in segments]
        splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
        for item in SplitPairs(files, options, sections, folder).process((0, [*found_segments, None])):
            if hasattr(item, "value"):
                tallies.append(item.value)
            else:
                name, (_, path) = item
                table = pa.ipc.open_file(pa.memory_map(path)).read_all()
                pairs = table.select(["source", "target"]).to_pylist()
                splits[name.partition("-")[0]] = [f"{pair['source']}\t{pair['target']}" for pair in pairs]
        return splits, Tally.total(tallies)


def sources(found: list[str]) -> set[str]:
    return {row.partition("\t")[0].lower().replace(".", "") or row.partition("\t")[0] for row in found}


@few
@given(rows)
def test_no_source_is_in_two_splits_and_every_row_is_accounted_for(data: list[str]) -> None:
    splits, tally = split(data=data)
    train, valid, test = (sources(splits[name]) for name in ("train", "valid", "test"))
    assert not train & valid
    assert not train & test
    assert not valid & test
    kept = [row for found in splits.values() for row in found]
    assert len(data) == tally.read == len(kept) + tally.rejected.total()
    assert set(tally.rejected) <= {"duplicate", "near_duplicate"}
    assert tally.rejected["duplicate"] == len(data) - len(set(data))
    assert tally.candidates.total() == len(kept)


@few
@given(rows, st.randoms(), st.integers(1, 5))
def test_neither_the_order_of_the_rows_nor_the_sections_matter(
    data: list[str], order: random.Random, sections: int
) -> None:
    shuffled = list(data)
    order.shuffle(shuffled)
    assert split(data=shuffled, sections=sections)[0] == split(data=data)[0]


@few
@given(rows, rows)
def test_adding_data_moves_no_source(data: list[str], more: list[str]) -> None:
    before, after = split(data=data)[0], split(data=data + more)[0]
    for name, found in before.items():
        assert sources(found) <= sources(after[name])


@few
@given(rows, rows, rows)
def test_given_files_are_used_and_their_sources_leave_the_training_data(
    data: list[str], valid: list[str], test: list[str]
) -> None:
    splits, tally = split(data=data, valid_data=valid, test_data=test)
    assert sorted(splits["test"]) == sorted(test)
    assert sorted(splits["valid"]) == sorted(row for row in valid if not sources([row]) & sources(test))
    assert not sources(splits["train"]) & (sources(test) | sources(splits["valid"]))
    assert len(data) + len(valid) == len(splits["train"]) + len(splits["valid"]) + tally.rejected.total()


def test_shares_are_met_on_many_sources() -> None:
    data = [f"number {number}\tx" for number in range(20_000)]
    splits, _ = split(Options(valid_share=0.05, test_share=0.1, shards=1), data=data)
    assert 900 < len(splits["valid"]) < 1100
    assert 1850 < len(splits["test"]) < 2150


def test_near_duplicates_stay_where_the_rule_is_off() -> None:
    data = ["Hello there.\tHallo.", "hello there\tHallo"]
    assert split(data=data)[1].rejected == {"near_duplicate": 1}
    assert split(Options(shards=1, rules={"near_duplicate": False}), data=data)[1].rejected == {}
