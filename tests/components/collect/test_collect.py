"""Collect: which requests belong to a window, and what they are compared with."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from seqline.artifacts.feedback_log import Feedback, write_feedback
from seqline.artifacts.monitoring import FEEDBACK, PREVIOUS, REQUESTS
from seqline.artifacts.monitoring_state import State, Windows
from seqline.artifacts.reference import REFERENCE, TOKEN_BUCKETS, Reference
from seqline.artifacts.request_log import TOKEN_BUCKETS as OF_THE_LOG
from seqline.components.collect.live import Live
from seqline.components.collect.sources import BigQuery, table_of
from seqline.components.collect.stage import check_and_collect, collect
from seqline.components.monitor.options import Options
from seqline.errors import UserError
from tests.monitored import HOUR, START, end_of, endpoint, log, rate, reference, texts


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return endpoint(tmp_path, reference())


def count(window: Path, name: str) -> int:
    return int(pq.read_metadata(window / name).num_rows)


def test_a_window_has_the_requests_of_its_span_and_the_one_before_theirs(live: Path, tmp_path: Path) -> None:
    for day, requests in enumerate((5, 7, 11)):
        log(live, day, texts(requests, seed=day))
    rate(live, 1, [1.0, -1.0])
    found = collect(str(live), tmp_path / "window", now=end_of(1))
    assert (found.start, found.end) == ("2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00")
    assert [count(tmp_path / "window", name) for name in (REQUESTS, PREVIOUS, FEEDBACK)] == [7, 5, 2]
    assert (found.found, found.previous, found.version, found.fingerprint) == (7, 5, "1", "f1")
    assert Reference.read(tmp_path / "window" / REFERENCE) == reference()
    assert found.state == str(live / "samples" / "monitoring")


def test_an_answer_has_its_last_rating_and_its_last_correction(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(5, seed=1))
    rows = [
        ("a", -1.0, None),
        ("a", -1.0, None),
        ("b", -1.0, None),
        ("a", 1.0, None),
        ("a", None, "better"),
        ("c", 1.0, None),
    ]
    said = [
        Feedback(id_ * 32, START + (number + 1) * HOUR, "1", rating=rating, correction=correction)
        for number, (id_, rating, correction) in enumerate(rows)
    ]
    write_feedback(live / "samples", said)
    collect(str(live), tmp_path / "window", now=end_of(0))
    found = pq.read_table(tmp_path / "window" / FEEDBACK).to_pylist()
    assert sorted((row["id"][0], row["rating"], row["correction"]) for row in found) == [
        ("a", 1.0, "better"), ("b", -1.0, None), ("c", 1.0, None),
    ]  # fmt: skip


def test_a_window_begins_where_the_one_before_ended(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(24, seed=1))
    states = Windows(str(live / "samples" / "monitoring"))
    end = START + 20 * HOUR
    states.write(State(START.isoformat(), end.isoformat(), "f1"))
    found = collect(str(live), tmp_path / "one", now=end_of(0))
    assert (found.start, found.end) == (end.isoformat(), (START + 24 * HOUR).isoformat())
    # Nor does a window of a fixed length count requests twice.
    fixed = collect(str(live), tmp_path / "two", now=end_of(0), options=Options(since_previous=False))
    assert fixed.start == found.start
    late = collect(str(live), tmp_path / "three", now=end_of(5), options=Options(since_previous=False))
    assert late.start == (START + 5 * 24 * HOUR).isoformat()


def test_a_run_that_is_started_again_within_the_hour_has_the_same_window(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(24, seed=1))
    first = collect(str(live), tmp_path / "one", now=end_of(0))
    Windows(first.state).write(State(first.start, first.end, "f1"))
    later = (START + 24 * HOUR + timedelta(minutes=50)).isoformat()
    assert collect(str(live), tmp_path / "two", now=later) == first


def test_requests_of_other_versions_are_left_out(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(5, seed=1))
    log(live, 0, texts(3, seed=2), version="7")
    found = collect(str(live), tmp_path / "window", now=end_of(0))
    assert (found.found, found.others) == (5, 3)
    assert set(pq.read_table(tmp_path / "window" / REQUESTS)["version"].to_pylist()) == {"1"}


def test_of_too_many_requests_a_random_part_is_compared(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(60, seed=1))
    options = Options(max_requests=20)
    found = collect(str(live), tmp_path / "window", now=end_of(0), options=options)
    assert (found.found, count(tmp_path / "window", REQUESTS)) == (60, 20)
    hours = {time.hour for time in pq.read_table(tmp_path / "window" / REQUESTS)["time"].to_pylist()}
    assert max(hours) - min(hours) > 12
    collect(str(live), tmp_path / "again", now=end_of(0), options=options)
    assert pq.read_table(tmp_path / "again" / REQUESTS) == pq.read_table(tmp_path / "window" / REQUESTS)


def test_a_model_without_a_reference_is_compared_with_the_previous_window_only(tmp_path: Path) -> None:
    live = endpoint(tmp_path, None)
    log(live, 0, texts(5, seed=1))
    found = collect(str(live), tmp_path / "window", now=end_of(0))
    assert found.notes == [
        "version 1 has no reference.json: its model was exported by an earlier Seqline, so its traffic is compared "
        "with the previous window only; retrain it, or export it again"
    ]
    assert not (tmp_path / "window" / REFERENCE).exists()


def test_a_reference_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    live = endpoint(tmp_path, None)
    (live / "versions/1/reference.json").write_text("{")
    log(live, 0, texts(5, seed=1))
    (note,) = collect(str(live), tmp_path / "window", now=end_of(0)).notes
    assert note.startswith("version 1 is compared with the previous window only: ")
    assert "versions/1/reference.json is not a JSON object; export the model again" in note


def test_training_figures_of_another_tokenizer_are_not_compared_with(tmp_path: Path) -> None:
    content = b"a tokenizer"
    live = endpoint(tmp_path, reference(hashlib.sha256(content).hexdigest()))
    extra = live / "versions/1/assets.extra"
    extra.mkdir()
    (extra / "tokenizer.model").write_bytes(content)
    log(live, 0, texts(5, seed=1))
    assert collect(str(live), tmp_path / "same", now=end_of(0)).notes == []
    (extra / "tokenizer.model").write_bytes(b"another one")
    (note,) = collect(str(live), tmp_path / "other", now=end_of(0)).notes
    assert note.startswith("version 1 is compared with the previous window only: ")
    assert note.endswith("reference.json belongs to another tokenizer than the model's; export the model again")
    assert not (tmp_path / "other" / REFERENCE).exists()


def test_a_log_file_that_is_cut_short_is_named_and_the_others_count(live: Path, tmp_path: Path) -> None:
    log(live, 0, texts(5, seed=1))
    (file,) = (live / "samples").glob("*.parquet")
    log(live, 0, texts(4, seed=2))
    file.write_bytes(file.read_bytes()[:200])
    found = collect(str(live), tmp_path / "window", now=end_of(0))
    assert found.found == 4
    assert [str(file) in note and "truncated" in note for note in found.notes] == [True]


def test_without_any_sampled_request_it_says_how_to_sample(live: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the requests of .*/demo are not sampled: turn on sampling"):
        collect(str(live), tmp_path / "window", now=end_of(0))
    (live / "samples").mkdir()
    with pytest.raises(UserError, match=r"there are no sampled requests in .*demo/samples: turn on sampling"):
        collect(str(live), tmp_path / "window", now=end_of(0))
    log(live, 0, texts(5, seed=1))
    assert collect(str(live), tmp_path / "window", now=end_of(9)).found == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "endpoint is empty: set the endpoint"),
        ("none", {}, "no version is live at the endpoint"),
        ("demo", {"requests": "bq://only.two"}, "requests: 'bq://only.two' is not bq://PROJECT.DATASET.TABLE"),
    ],
)
def test_what_cannot_be_monitored_is_named(
    live: Path, tmp_path: Path, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        collect(str(tmp_path / name) if name else "", tmp_path / "window", now=end_of(0), options=Options(**options))
    assert not (tmp_path / "window").exists()


def test_requests_that_vertex_logged_are_read_from_its_table(live: Path) -> None:
    version = Live("3", "f3", "", str(live / "versions" / "1"), None, deployed={"901": "3"})
    seen = []

    def query(text: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        seen.append(text)
        payload = {"request_payload": ['{"text": "hello"}'], "response_payload": ['{"text": "hallo"}']}
        broken = {"request_payload": ["a", "b"], "response_payload": ['{"text": "hallo"}']}
        return [
            {"deployed_model_id": id_, "request_id": f"r{id_}", "logging_time": START, **one}
            for id_, one in (("901", payload), ("7", payload), ("901", broken))
        ]

    log_of_vertex = BigQuery("bq://my-project.logs.requests", version, query)
    table, problems = log_of_vertex.requests(START, START + HOUR)
    assert table["version"].to_pylist() == ["3", "another"]
    assert table["source"].to_pylist() == ["hello", "hello"]
    assert problems == ["request r901 was skipped: it has 2 texts and 1 answers"]
    assert "FROM `my-project.logs.requests` WHERE logging_time >= @start AND logging_time < @end" in seen[0]
    assert len(log_of_vertex.feedback(START, START + HOUR)[0]) == 0
    with pytest.raises(UserError, match="state is empty, and there is no folder beside the table"):
        _ = log_of_vertex.default_state


def test_a_table_has_a_project_that_may_have_a_domain() -> None:
    assert table_of("bq://example.com:mine.logs.requests") == ("example.com:mine", "logs", "requests")


def test_the_first_task_refuses_wrong_options_of_later_ones(live: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        check_and_collect(
            str(live), tmp_path / "window", {"rules": [{"figure": "empti", "above": 0.1}]}, {"cooling_day": 3}
        )
    message = str(raised.value)
    assert "monitoring.rules[0]: there is no figure 'empti'; did you mean 'empty'?" in message
    assert "retraining.cooling_day is unknown; did you mean 'cooling_days'?" in message


def test_the_buckets_of_the_corpus_are_those_of_the_log() -> None:
    assert TOKEN_BUCKETS == OF_THE_LOG
