"""Files of a log rotate, its size is bounded, and rows wait while the folder cannot be written."""

import threading
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from seqline.artifacts.feedback_log import FEEDBACK, Feedback, read_feedback
from seqline.artifacts.row_log import now
from seqline.sampling.rotating import RotatingLog, Rotation


@dataclass
class Clock:
    time: float = 0.0

    def __call__(self) -> float:
        return self.time


def rows(*ids: str, later: float = 0) -> pa.Table:
    time = now() + timedelta(seconds=later)
    return FEEDBACK.table_of([Feedback(id_, time, "1", comment="x" * 100) for id_ in ids])


def ids(folder: str) -> set[str]:
    return set(read_feedback(folder).table["id"].to_pylist())


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "log") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/log"


@pytest.mark.parametrize(
    ("rotation", "seconds", "characters", "files"),
    [
        (Rotation(rows=2), 0, 0, 1),
        (Rotation(rows=3), 0, 0, 0),
        (Rotation(seconds=60), 59, 0, 0),
        (Rotation(seconds=60), 60, 0, 1),
        (Rotation(characters=100), 0, 50, 1),
    ],
)
def test_a_file_is_written_when_one_of_its_limits_is_reached(
    place: str, rotation: Rotation, seconds: float, characters: int, files: int
) -> None:
    clock = Clock()
    log = RotatingLog(FEEDBACK, place, rotation, clock=clock)
    log.add(rows("1"), characters)
    log.add(rows("2"), characters)
    clock.time = seconds
    log.tick()
    assert len(FEEDBACK.files(place)) == files
    log.flush()
    assert ids(place) == {"1", "2"}


def test_the_oldest_files_are_deleted_and_the_newest_stays(place: str) -> None:
    log = RotatingLog(FEEDBACK, place, Rotation(rows=1, total_bytes=1))
    log.add(rows("old"))
    FEEDBACK.files(place)
    log.add(rows("new", later=10))
    assert ids(place) == {"new"}


def test_files_of_others_are_not_deleted(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    log = RotatingLog(FEEDBACK, str(tmp_path), Rotation(rows=1, total_bytes=1))
    log.add(rows("1"))
    log.add(rows("2", later=10))
    assert other.read_text() == "mine"


def test_rows_wait_while_the_folder_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, dropped, written, blocked = Clock(), list[int](), list[int](), tmp_path / "log"
    blocked.write_text("a file where the folder is to be")
    log = RotatingLog(FEEDBACK, str(blocked), Rotation(rows=1, waiting=2), dropped.append, clock, written.append)
    for number in range(3):
        log.add(rows(str(number)))
    assert "cannot be written" in caplog.text
    assert len(caplog.records) == 1  # no attempt before the pause is over
    assert dropped == [1]
    blocked.unlink()
    log.tick()
    assert ids(str(blocked)) == set()
    clock.time = 1.0
    log.tick()
    assert ids(str(blocked)) == {"1", "2"}
    assert written == [1, 1]


def test_rows_that_cannot_be_written_at_the_end_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dropped = list[int]()
    (tmp_path / "log").write_text("")
    log = RotatingLog(FEEDBACK, str(tmp_path / "log"), dropped=dropped.append)
    log.add(rows("1", "2"))
    log.flush()
    log.lose()
    assert dropped == [2]
    assert "2 rows of feedback are lost: " in caplog.text


def test_two_processes_write_to_one_folder(tmp_path: Path) -> None:
    def write(name: str) -> None:
        log = RotatingLog(FEEDBACK, str(tmp_path), Rotation(rows=1, total_bytes=40_000))
        for number in range(10):
            log.add(rows(f"{name}{number}"))

    writers = [threading.Thread(target=write, args=[name]) for name in "ab"]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    found = read_feedback(tmp_path)
    assert found.unread == ()
    assert ids(str(tmp_path)) <= {f"{name}{number}" for name in "ab" for number in range(10)}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 44_000
