"""The logs of sampled requests and of feedback: what is written is read again, and a broken file costs itself alone."""

import json
import stat
import uuid
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from itertools import chain, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.artifacts.feedback_log import Feedback, read_feedback, write_feedback
from seqline.artifacts.request_log import REQUESTS, SampledRequest, read_requests, table_of, write_requests
from seqline.errors import UserError
from seqline.inputs.storage import fsspec

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
ROW = SampledRequest(
    uuid.uuid4().hex, NOON, "3", "predict", 2.5, 5, 2, 6, 2, 0, "Latin", "de", False, False, False, -0.5, [7, 1023]
)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "log") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/log"


def test_a_log_returns_the_rows_that_were_written(place: str) -> None:
    rows = [ROW, replace(ROW, id="2", language=None, score=None, source="Größe", output="size", slice="web")]
    write_requests(place, rows)
    assert read_requests(place).table.to_pylist() == [asdict(row) for row in rows]


def test_a_log_that_is_not_there_has_no_rows(place: str) -> None:
    found = read_requests(place)
    assert (found.table.num_rows, found.table.schema, found.unread) == (0, REQUESTS.schema, ())


def test_feedback_has_a_log_of_its_own_in_the_same_folder(place: str) -> None:
    write_requests(place, [ROW])
    row = Feedback(ROW.id, NOON, "3", rating=1.0, correction="besser")
    write_feedback(place, [row])
    assert read_feedback(place).table.to_pylist() == [asdict(row)]
    assert read_requests(place, columns=["id"]).table.to_pylist() == [{"id": ROW.id}]


def test_a_window_opens_only_the_files_that_may_have_its_rows(tmp_path: Path) -> None:
    early = Path(write_requests(tmp_path, [replace(ROW, id="early")]))
    write_requests(tmp_path, [replace(ROW, id="late", time=NOON + timedelta(hours=2))])
    early.write_bytes(b"would be reported")
    found = read_requests(tmp_path, NOON + timedelta(hours=1), columns=["id"])
    assert (found.table.to_pylist(), found.unread) == ([{"id": "late"}], ())


@settings(max_examples=25)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 30), st.integers(0, 30))
def test_windows_that_follow_each_other_have_each_row_once(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[int], one: int, other: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    times = [NOON + timedelta(seconds=offset / 4) for offset in offsets]
    write_requests(folder, [replace(ROW, id=str(index), time=time) for index, time in enumerate(times)])
    first, second = (NOON + timedelta(seconds=offset / 4) for offset in sorted((one, other)))
    edges = [None, first, second, None]
    found = [read_requests(folder, start, end).table["id"].to_pylist() for start, end in pairwise(edges)]
    assert sorted(chain.from_iterable(found)) == sorted(map(str, range(len(times))))
    assert all(first <= times[int(id_)] < second for id_ in found[1])


@pytest.mark.parametrize("size", [0, 3, 500])
def test_a_file_that_is_cut_short_is_named_and_the_others_are_read(tmp_path: Path, size: int) -> None:
    broken = Path(write_requests(tmp_path, [replace(ROW, id="lost")]))
    broken.write_bytes(broken.read_bytes()[:size])
    write_requests(tmp_path, [ROW])
    found = read_requests(tmp_path)
    assert found.table["id"].to_pylist() == [ROW.id]
    (message,) = found.unread
    assert message.startswith(f"{broken} was skipped: it is truncated, or is not a file of this log (")
    assert message.endswith("copy it again, or delete it")


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    path = Path(write_requests(tmp_path, [ROW]))
    pq.write_table(table_of([ROW]).replace_schema_metadata({REQUESTS.key: "9"}), path)
    (message,) = read_requests(tmp_path).unread
    assert message.startswith(f"{path} was skipped: its columns have version 9, and this Seqline reads 1;")


def test_a_file_without_a_column_is_named(tmp_path: Path) -> None:
    path = Path(write_requests(tmp_path, [ROW]))
    pq.write_table(table_of([ROW]).drop_columns("score").replace_schema_metadata({REQUESTS.key: "1"}), path)
    (message,) = read_requests(tmp_path).unread
    assert message == f"{path} was skipped: it has no column score; delete the file"


def test_a_file_with_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    path = Path(write_requests(tmp_path, [ROW]))
    texts = table_of([ROW]).set_column(4, "latency_ms", pa.array(["slow"]))
    pq.write_table(texts.replace_schema_metadata({REQUESTS.key: "1"}), path)
    (message,) = read_requests(tmp_path).unread
    assert message.startswith(f"{path} was skipped: ")


def test_files_that_are_being_written_and_files_of_others_are_ignored(tmp_path: Path) -> None:
    whole = Path(write_requests(tmp_path, [ROW]))
    (tmp_path / f".{whole.name}.x1").write_bytes(b"PAR1")
    (tmp_path / "notes.parquet").write_bytes(b"")
    (tmp_path / "requests-99999999T999999Z-99999999T999999Z-ab.parquet").write_bytes(b"")
    assert read_requests(tmp_path).table.num_rows == 1
    assert read_requests(tmp_path).unread == ()


def test_a_row_is_found_by_its_id_in_the_newest_files(place: str) -> None:
    write_requests(place, [replace(ROW, id="old", version="1")])
    write_requests(place, [replace(ROW, id="new", version="2", time=NOON + timedelta(hours=1))])
    assert REQUESTS.find(place, "new", ["version"], newest=1) == {"version": "2"}
    assert REQUESTS.find(place, "old", ["version"], newest=1) is None
    assert REQUESTS.find(place, "old", ["version"], newest=2) == {"version": "1"}


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    path = Path(write_requests(tmp_path / "log", [ROW]))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seqline.artifacts.private_files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_requests(tmp_path, [ROW])
    assert list(tmp_path.iterdir()) == []


def test_a_window_without_a_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="start of the window has no time zone: 2026-11-30T12:00:00; write it in UTC"):
        read_requests(tmp_path, datetime(2026, 11, 30, 12))


def test_other_programs_read_the_files_of_a_bucket() -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    address = write_requests(bucket, [ROW])
    with fsspec.open(address) as file:
        table = pq.read_table(file)
    assert json.dumps(table.column_names) == json.dumps(REQUESTS.schema.names)
