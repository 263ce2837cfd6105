"""Statistics, drift and expectations: their values, and which ones stop a run."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Counts
from seqline.components.tokenize.expectations import check_drift, check_names, evaluate, require_met
from seqline.components.tokenize.statistics import Drift, Statistics, distance
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

VOCABULARY = ["<pad>", "<unk>", "<s>", "</s>", "<0x41>", "a", "b"]


def statistics() -> Statistics:
    tally = Tally(read=20)
    tally.rejected.update(empty=5)
    tally.tokens.update({1: 1, 4: 1, 5: 10, 6: 8})
    tally.slices = {"train": {"news": 9}}  # type: ignore[dict-item]
    tally.lengths = {"source": {1: 98, 40: 2}, "target": {2: 100}}  # type: ignore[dict-item]
    return Statistics.of(tally, VOCABULARY)


COUNTS = Counts(20, 15, {"empty": 5}, 13, 1, 1)
counters = st.dictionaries(st.integers(0, 5), st.integers(1, 100), max_size=5)


def test_statistics_count_bytes_and_unknown_tokens_as_unknown() -> None:
    found = statistics()
    assert found.unknown_share == 0.1
    assert found.rejected_share == 0.25
    assert list(found.tokens) == ["a", "b", "<unk>", "<0x41>"]
    assert (found.quantile("source", 0.98), found.quantile("source", 0.99)) == (1, 40)


def test_statistics_read_back_as_written(tmp_path: Path) -> None:
    statistics().write(tmp_path / "statistics.json")
    assert Statistics.of_corpus(str(tmp_path)) == statistics()


def test_statistics_of_an_earlier_release_are_read(tmp_path: Path) -> None:
    content = json.loads(statistics().to_json())
    content["pieces"] = content.pop("tokens")
    (tmp_path / "statistics.json").write_text(json.dumps({**content, "schema_version": 1}))
    assert Statistics.of_corpus(str(tmp_path)) == statistics()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", r"cannot be read \(lengths: field required\); leave previous_corpus empty once"),
        (b"[]", "is not a JSON object"),
        (b"\xff", "is not a JSON object"),
        (b'{"schema_version": 9}', "has schema version 9, and this Seqline reads 1 to 2; leave previous_corpus empty"),
    ],
)
def test_unreadable_statistics_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "statistics.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"^previous_corpus: .*/statistics.json {message}"):
        Statistics.of_corpus(str(tmp_path))


def test_missing_statistics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^previous_corpus: .*nowhere/statistics.json cannot be read"):
        Statistics.of_corpus(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({1: 5}, {1: 50}, 0.0), ({1: 1}, {2: 1}, 1.0), ({}, {}, 0.0), ({}, {1: 1}, 1.0),
        ({1: 1, 2: 1}, {1: 1}, math.sqrt(0.5 * math.log2(4 / 3) + 0.25 * math.log2(2 / 3) + 0.25)),
    ],
)  # fmt: skip
def test_the_distance_is_that_of_jensen_and_shannon(before: dict, after: dict, expected: float) -> None:
    assert distance(before, after) == pytest.approx(expected)


@given(counters, counters)
def test_the_distance_is_symmetric_and_at_most_one(before: dict[int, int], after: dict[int, int]) -> None:
    assert distance(before, after) == pytest.approx(distance(after, before))
    assert 0 <= distance(before, after) <= 1


@pytest.mark.parametrize(
    ("expectations", "message"),
    [
        ({"min_pairs": 14}, "min_pairs: 13, expected at least 14"),
        ({"max_rejected_share": 0.2}, "max_rejected_share: 0.25, expected at most 0.2"),
        ({"max_unknown_share": 0.05}, "max_unknown_share: 0.1, expected at most 0.05"),
        ({"max_source_p99": 39}, "max_source_p99: 40, expected at most 39"),
        ({"slices": ["news", "law"]}, "slices: without law, expected news, law"),
        ({"max_piece_drift": 0.1}, "max_piece_drift: 0.2, expected at most 0.1"),
    ],
)
def test_an_unmet_expectation_is_reported_with_value_and_limit(expectations: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        require_met(evaluate(expectations, COUNTS, statistics(), Drift(0.0, 0.0, 0.2)))


def test_expectations_that_are_met_pass() -> None:
    expectations = {"min_pairs": 13, "max_rejected_share": 0.25, "slices": ["news"], "max_target_p99": 2}
    assert all(one.met for one in evaluate(expectations, COUNTS, statistics(), None))


@pytest.mark.parametrize(
    ("expectations", "message"),
    [
        ({"min_pair": 1}, "did you mean 'min_pairs'"),
        ({"min_pairs": "many"}, "min_pairs must be a number"),
        ({"slices": "news"}, "slices must be a list"),
    ],
)
def test_a_wrong_expectation_is_named(expectations: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_names(expectations)


def test_drift_needs_a_previous_corpus() -> None:
    with pytest.raises(UserError, match="max_piece_drift needs previous_corpus"):
        check_drift({"min_pairs": 1, "max_piece_drift": 0.1}, "")
    check_drift({"max_piece_drift": 0.1}, "before")
