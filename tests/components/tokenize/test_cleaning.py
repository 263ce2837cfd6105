"""Cleaning one block: which rows are rejected, and which rules apply to which file."""

import json
from pathlib import Path

import pytest

from seqline.components.tokenize.options import Options
from tests.components.tokenize.test_rows import read, write

MOST = 64 * 10  # characters of a side that may have max_tokens=10 tokens
OPTIONS = Options(shards=3, max_tokens=10, task="text_generation", rules={"repeated": False, "broken_encoding": False})


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(("length", "rejected"), [(MOST, {}), (MOST + 1, {"too_long": 1})])
def test_a_side_that_is_certainly_too_long_is_rejected(
    tmp_path: Path, side: str, length: int, rejected: dict[str, int]
) -> None:
    row = {"source": "a", "target": "b", side: "ü" * length}
    pairs, tally = read(write(tmp_path, "a.jsonl", json.dumps(row).encode()), OPTIONS)
    assert tally.rejected == rejected
    assert len(pairs) == 1 - len(rejected)


def test_a_long_row_of_the_users_own_test_set_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", b"a" * (MOST + 1) + b"\tb\n")
    assert len(read(path, OPTIONS, "test_data")[0]) == 1
    assert read(path, OPTIONS, "valid_data")[1].rejected == {"too_long": 1}


def test_an_empty_side_is_counted_before_any_rule(tmp_path: Path) -> None:
    rows = [{"source": "", "target": "<b>x</b>"}, {"source": "<b>x</b>", "target": ""}, {"source": "", "target": ""}]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    pairs, tally = read(path, Options(shards=1, rules={"markup": True}))
    assert (pairs, tally.rejected) == ([], {"empty": 3})


@pytest.mark.parametrize(("parameter", "kept"), [("data", 1), ("valid_data", 2), ("test_data", 2)])
def test_no_rule_changes_the_users_own_validation_and_test_files(tmp_path: Path, parameter: str, kept: int) -> None:
    path = write(tmp_path, "a.tsv", b"<b>one</b>\teins\ntwo\tzwei\n\tdrei\n")
    pairs, tally = read(path, Options(shards=1), parameter)
    assert len(pairs) == kept
    assert tally.rejected == ({"empty": 1, "markup": 1} if parameter == "data" else {"empty": 1})


def test_a_question_without_its_context_is_empty(tmp_path: Path) -> None:
    rows = b"who?\tAnn sang.\tAnn\nwho?\t\tAnn\n\tAnn sang.\tAnn\n"
    pairs, tally = read(
        write(tmp_path, "a.tsv", rows), Options(task="question_answering", context_field="context", shards=1)
    )
    assert pairs == [("question: who? context: Ann sang.", "Ann")]
    assert tally.rejected == {"empty": 2}


def test_a_file_that_vanishes_is_a_problem_of_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqline.components.tokenize.blocks import Block

    def fail(_: Block) -> bytes:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Block, "read", fail)
    path = write(tmp_path, "a.tsv", b"one\teins\n")
    pairs, tally = read(path, Options(shards=1))
    assert pairs == []
    assert tally.problems == [
        f"{path} cannot be read after line 1: the disk is gone; check whether the file is complete"
    ]


@pytest.mark.parametrize(
    ("task", "side", "kept"),
    [
        ("summarization", "source", 1),
        ("question_answering", "source", 1),
        ("summarization", "target", 0),
        ("translation", "source", 0),
    ],
)
def test_a_very_long_source_is_only_rejected_where_it_is_not_truncated(
    tmp_path: Path, task: str, side: str, kept: int
) -> None:
    row = {"source": "a", "target": "b", side: "ab " * MOST}
    options = OPTIONS.with_values(task=task, rules={"repeated": False})
    pairs, _ = read(write(tmp_path, "a.jsonl", json.dumps(row).encode()), options)
    assert len(pairs) == kept
