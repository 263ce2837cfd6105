"""Splitting by source: no source in two splits, no dependence on order, no move when data is added."""

import random
import resource
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.blocks import CutFiles
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.splits import SplitPairs
from seqline.components.tokenize.tally import Tally
from tests.examples import examples

OPTIONS = Options(valid_share=0.3, test_share=0.3, shards=1, rules={"identical": False, "symbols": False})
rows = st.lists(st.tuples(st.text("abA.", min_size=1, max_size=3), st.sampled_from("xyX")).map("\t".join), max_size=25)
few = examples(40)


def split(options: Options = OPTIONS, sections: int = 3, **given_rows: list[str]) -> tuple[dict[str, list[str]], Tally]:
    with tempfile.TemporaryDirectory() as folder:
        files, tallies, segments = [], [], []
        for name, found in given_rows.items():
            path = Path(folder, f"{name}.tsv")
            path.write_text("\n".join(found), encoding="utf-8")
            files.append(Input(name, str(path)))
        for number, found in enumerate(given_rows.values()):
            if found:
                for block in CutFiles(files, options, folder).process(number):
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
                columns = [name for name in ("source", "target", "slice") if name in table.column_names]
                pairs = table.select(columns).to_pylist()
                splits[name.partition("-")[0]] = ["\t".join(filter(None, pair.values())) for pair in pairs]
        return splits, Tally.total(tallies)


def test_a_part_of_more_files_than_a_process_may_open_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 20 million pairs are some hundred blocks, and each leaves a file.
    monkeypatch.setattr("seqline.components.tokenize.blocks.BLOCK_BYTES", 16)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 40, hard))
    try:
        splits, _ = split(data=[f"source {number}\ttarget" for number in range(80)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sum(map(len, splits.values())) == 80


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


def test_a_pair_stays_in_its_split_in_every_version() -> None:
    # Written down, because a change of the hash would move pairs of the test set to the training data: the next
    # challenger would have seen the sentences that it is compared with the champion on.
    options = Options(valid_share=0.1, test_share=0.1, shards=1, rules={"wrong_script": False})
    data = [f"Number {number}.\tNummer {number}" for number in range(60)] + ["Grüß Gott\tx", "漢字 と\ty"]
    splits, _ = split(options, data=data)
    assert [data.index(row) for row in splits["valid"]] == [35, 29, 38, 9, 57, 55, 45]
    assert [data.index(row) for row in splits["test"]] == [40, 5, 13, 1, 26, 19, 50, 18, 61]
    assert [data.index(row) for row in splits["train"]] == [
        52, 59, 30, 24, 32, 44, 2, 54, 42, 15, 22, 11, 7, 3, 21, 58, 8, 31, 27, 16, 12, 20, 17, 60, 46, 49, 6, 14, 0,
        37, 43, 56, 39, 4, 36, 41, 33, 34, 10, 51, 28, 47, 25, 53, 23, 48,
    ]  # fmt: skip


def test_case_punctuation_and_the_target_move_no_pair() -> None:
    options = Options(valid_share=0.1, test_share=0.1, shards=1, rules={"wrong_script": False})
    splits, _ = split(options, data=["number 35\tanders", "NUMBER, 40!\tanders", "漢字と!\tanders", "grüß gott!\tz"])
    assert splits == {
        "train": ["grüß gott!\tz"],
        "valid": ["number 35\tanders"],
        "test": ["NUMBER, 40!\tanders", "漢字と!\tanders"],
    }


def test_without_sources_the_target_decides_the_split_in_every_version() -> None:
    shares = {"valid_share": 0.3, "test_share": 0.3}
    options = Options(task="text_generation", source_field="", target_field="text", shards=1, **shares)
    splits, _ = split(options, data=[f"number {number}" for number in range(12)])
    assert {name: [int(row.split()[-1]) for row in found] for name, found in splits.items()} == {
        "train": [6, 0, 4, 10],
        "valid": [11, 7, 3, 8],
        "test": [5, 1, 9, 2],
    }


def test_of_equal_pairs_in_two_slices_the_first_slice_by_name_stays() -> None:
    options = Options(slice_field="domain", valid_share=0, test_share=0, shards=1)
    for order in (["law", "news", "web"], ["web", "news", "law"]):
        splits, tally = split(options, data=["source\ttarget\tdomain", *(f"Hello.\tHallo.\t{name}" for name in order)])
        assert splits["train"] == ["Hello.\tHallo.\tlaw"]
        assert tally.rejected == {"duplicate": 2}


def test_equal_pairs_are_duplicates_also_with_a_near_one_in_a_slice_between() -> None:
    options = Options(slice_field="domain", valid_share=0, test_share=0, shards=1)
    data = ["source\ttarget\tdomain", "Hello.\tHallo.\tlaw", "hello\tHallo\tnews", "Hello.\tHallo.\tweb"]
    assert split(options, data=data)[1].rejected == {"duplicate": 1, "near_duplicate": 1}


def test_a_near_duplicate_is_counted_apart_from_an_exact_one() -> None:
    data = ["Hello.\tHallo.", "hello\tHallo", "Hello.\tHallo.", "hello\tHallo", "Hello.\tHalli", "Hi\tHallo."]
    splits, tally = split(Options(valid_share=0, test_share=0, shards=1), data=data)
    assert tally.rejected == {"duplicate": 2, "near_duplicate": 1}
    assert len(splits["train"]) == 3


def test_rows_of_given_files_are_no_duplicates_and_leave_the_training_data() -> None:
    given_rows = {"data": ["a\tx", "b\tx", "c\tx"], "valid_data": ["b\ty", "b\ty", "c\ty"], "test_data": ["c\tz"] * 2}
    splits, tally = split(Options(shards=1), **given_rows)
    assert splits == {"train": ["a\tx"], "valid": ["b\ty", "b\ty"], "test": ["c\tz", "c\tz"]}
    assert tally.rejected == {"in_test": 2, "in_valid": 1}
    assert tally.candidates == {"train": 1, "valid": 2, "test": 2}


def test_feedback_is_trained_on_and_never_held_out() -> None:
    corrected = [f"number {number}\tx" for number in range(50)]
    splits, tally = split(OPTIONS, feedback=corrected)
    assert len(splits["train"]) == 50
    assert (splits["valid"], splits["test"], tally.rejected) == ([], [], {})


@few
@given(rows, rows)
def test_feedback_changes_no_held_out_pair_and_has_none_of_their_sources(data: list[str], feedback: list[str]) -> None:
    before, _ = split(data=data)
    after, tally = split(data=data, feedback=feedback)
    assert (after["valid"], after["test"]) == (before["valid"], before["test"])
    assert not sources(after["train"]) & (sources(after["valid"]) | sources(after["test"]))
    assert set(before["train"]) <= set(after["train"])
    assert tally.read == sum(map(len, after.values())) + tally.rejected.total()


def test_feedback_that_the_data_has_is_a_duplicate() -> None:
    options = Options(valid_share=0, test_share=0, shards=1)
    splits, tally = split(options, data=["Hello.\tHallo."], feedback=["Hello.\tHallo.", "hello\tHallo", "Hello.\tHi."])
    assert tally.rejected == {"duplicate": 1, "near_duplicate": 1}
    assert splits["train"] == ["Hello.\tHallo.", "Hello.\tHi."]


def test_feedback_has_its_own_fields_and_slice() -> None:
    named = {"source_field": "en", "target_field": "de", "slice_field": "domain"}
    options = Options(valid_share=0, test_share=0, shards=1, **named)
    data, feedback = ["en\tde\tdomain", "a\tx\tlaw"], ["id\ttarget\tsource", "1\ty\tb"]
    assert sorted(split(options, data=data, feedback=feedback)[0]["train"]) == ["a\tx\tlaw", "b\ty\tfeedback"]


def test_a_given_file_takes_the_place_of_its_share_alone() -> None:
    data = [f"number {number}\tx" for number in range(200)]
    options = Options(valid_share=0.3, test_share=0.3, shards=1)
    both = split(options, data=data)[0]
    for name, other in (("valid", "test"), ("test", "valid")):
        splits, _ = split(options, data=data, **{f"{name}_data": ["another\tx"]})
        assert splits[name] == ["another\tx"]
        assert 30 < len(splits[other]) < 90
        assert len(splits["train"]) > len(both["train"])


def test_many_pairs_are_written_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [f"number {number}\tx" for number in range(100)]
    whole = split(data=data)[0]
    monkeypatch.setattr("seqline.components.tokenize.splits._ROWS", 7)
    assert split(data=data)[0] == whole
