import os
from pathlib import Path

import numpy as np
import pytest

from seqline.components.train.working_state import WorkingState
from seqline.errors import UserError
from tests.stand_ins.gcsfuse import Mount


def test_a_working_state_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    state = WorkingState(tmp_path / "states" / "s")
    assert state.load() is None
    assert state.save({"model": [np.arange(3.0), np.eye(2)], "best": []}, {"epoch": 2})
    groups, progress = state.load() or ({}, {})
    np.testing.assert_array_equal(groups["model"][1], np.eye(2))
    assert progress == {"epoch": 2}
    state.delete()
    assert list(tmp_path.iterdir()) == []


def test_the_last_two_files_are_held(tmp_path: Path) -> None:
    state = WorkingState(tmp_path)
    for epoch in range(12):
        state.save({}, {"epoch": epoch})
    assert len(state.files()) == 2
    assert (state.load() or ({}, {}))[1] == {"epoch": 11}


@pytest.mark.parametrize("left", [0, 100, 500])
def test_a_damaged_file_is_renamed_and_the_previous_one_is_used(
    tmp_path: Path, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    state = WorkingState(tmp_path)
    for epoch in (1, 2):
        state.save({"model": [np.zeros(1000)]}, {"epoch": epoch})
    latest = state.files()[0]
    damaged = latest.read_bytes()[:left]
    latest.write_bytes(damaged)
    assert (state.load() or ({}, {}))[1] == {"epoch": 1}
    assert f"{latest} is damaged" in caplog.text
    assert (tmp_path / f"{latest.name}.damaged").read_bytes() == damaged


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")])
def test_a_file_that_cannot_be_read_now_is_neither_deleted_nor_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    state = WorkingState(tmp_path)
    for epoch in (1, 2):
        state.save({"model": [np.zeros(3)]}, {"epoch": epoch})

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(np, "load", failing)
    with pytest.raises(UserError, match=f"state-00000002.npz cannot be read.*{error.strerror}.*nothing was deleted"):
        state.load()
    monkeypatch.undo()
    assert (state.load() or ({}, {}))[1] == {"epoch": 2}


def test_a_second_run_with_the_same_data_and_options_names_the_first(tmp_path: Path) -> None:
    first, second = (WorkingState(tmp_path / "states" / "s") for _ in range(2))
    with first.locked():
        message = rf"process {os.getpid()} on .* is training with the same data and options"
        with pytest.raises(UserError, match=message), second.locked():
            pass
    with second.locked():
        second.delete()
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_the_previous_file_remains_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = WorkingState(tmp_path)
    state.save({"model": [np.zeros(3)]}, {"epoch": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert not state.save({"model": [np.ones(3)]}, {"epoch": 2})
    monkeypatch.undo()
    assert "No space left on device" in caplog.text
    assert (state.load() or ({}, {}))[1] == {"epoch": 1}
    assert not list(tmp_path.glob("*.unfinished"))


def test_in_a_bucket_a_state_is_saved_loaded_and_deleted_although_each_request_fails_once(
    mount: Mount, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for operation in ("mkdir", "create", "write", "flush", "rename", "open", "unlink", "readdir"):
        mount.fail(operation, f"{bucket.name}/*", each=True)
    state = WorkingState(bucket / "states" / "s")
    with state.locked():
        assert state.load() is None
        for epoch in range(4):
            assert state.save({"model": [np.arange(100_000.0)], "best": []}, {"epoch": epoch})
            mount.forget_empty_folders()
        groups, progress = state.load() or ({}, {})
        np.testing.assert_array_equal(groups["model"][0], np.arange(100_000.0))
        assert progress == {"epoch": 3}
        assert len(state.files()) == 2
        state.delete()
    assert not bucket.exists()


@pytest.mark.parametrize("operation", ["write", "flush", "rename", "unlink"])
def test_in_a_bucket_the_state_before_remains_when_a_save_is_killed(mount: Mount, bucket: Path, operation: str) -> None:
    state = WorkingState(bucket)
    for epoch in (1, 2):
        state.save({"model": [np.zeros(100_000)]}, {"epoch": epoch})
    mount.kill(operation, f"{bucket.name}/state*")
    if (pid := os.fork()) == 0:
        state.save({"model": [np.zeros(100_000)]}, {"epoch": 3})
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert (state.load() or ({}, {}))[1]["epoch"] in (2, 3)
    assert state.save({"model": [np.zeros(100_000)]}, {"epoch": 4})
    assert (state.load() or ({}, {}))[1] == {"epoch": 4}


def test_a_folder_that_the_bucket_forgot_is_made_again(mount: Mount, bucket: Path) -> None:
    state = WorkingState(bucket)
    mount.forget_empty_folders()
    assert state.load() is None
    assert state.save({}, {"epoch": 1})
