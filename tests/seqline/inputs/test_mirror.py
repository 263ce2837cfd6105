"""A folder with a copy in a bucket, and the working state of training in one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqline.components.train.working_state import WorkingState
from seqline.errors import UserError
from seqline.inputs.mirror import Mirror, folder_at


def keys(bucket: Any) -> list[str]:
    return sorted(bucket.store.keys(bucket.name, ""))


def test_another_machine_gets_what_was_pushed(s3_bucket: Any, tmp_path: Path) -> None:
    address = f"s3://{s3_bucket.name}/state"
    first = Mirror(address, tmp_path / "first")
    (first.path / "deep").mkdir()
    for name in ("a", "deep/b", "unpushed"):
        (first.path / name).write_text(name)
    first.push(first.path / "a")
    first.push(first.path / "deep" / "b")
    second = Mirror(address, tmp_path / "second")
    assert {str(path.relative_to(second.path)) for path in second.path.rglob("*") if path.is_file()} == {"a", "deep/b"}
    second.drop(second.path / "a")
    second.drop(second.path / "never")
    assert keys(s3_bucket) == ["state/deep/b"]
    second.clear()
    second.clear()
    assert keys(s3_bucket) == []


def test_a_bucket_that_is_missing_is_named(s3_bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s3://.*-none/state cannot be read: .*bucket does not exist"):
        Mirror(f"s3://{s3_bucket.name}-none/state", tmp_path)


def test_a_bucket_that_does_not_answer_is_named(
    s3_bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqline.inputs.s3 import S3

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3.clear_instance_cache()
    with pytest.raises(UserError, match="s3://b/state cannot be read: "):
        Mirror("s3://b/state", tmp_path)


def test_a_folder_that_is_no_address_has_no_mirror(tmp_path: Path) -> None:
    with folder_at(tmp_path, "run") as (folder, mirror):
        assert (folder, mirror) == (tmp_path / "run", None)


def test_training_continues_from_the_state_in_the_bucket_and_deletes_it_at_the_end(s3_bucket: Any) -> None:
    address = f"minio://{s3_bucket.name}/checkpoints"
    for step in (1, 2, 3):
        # Each time in a new folder, as a retried pod has.
        with folder_at(address, "run") as (folder, mirror):
            state = WorkingState(folder, mirror)
            loaded = state.load()
            assert (loaded[1] if loaded else None) == ({"step": step - 1} if step > 1 else None)
            assert state.save({"weights": [np.full(3, step)]}, {"step": step})
    assert keys(s3_bucket) == [f"checkpoints/run/state-0000000{number}.npz" for number in (2, 3)]
    with folder_at(address, "another") as (folder, mirror):
        assert WorkingState(folder, mirror).load() is None
    with folder_at(address, "run") as (folder, mirror):
        WorkingState(folder, mirror).delete()
    assert keys(s3_bucket) == []


def test_a_state_that_cannot_be_written_to_the_bucket_is_logged_and_training_goes_on(
    s3_bucket: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with folder_at(f"s3://{s3_bucket.name}/checkpoints", "run") as (folder, mirror):
        s3_bucket.client.delete_bucket(Bucket=s3_bucket.name)
        assert WorkingState(folder, mirror).save({}, {"step": 1}) is False
    assert "the working state cannot be saved in" in caplog.text
    assert "cannot be written" in caplog.text


def test_a_damaged_state_is_not_continued_from(s3_bucket: Any) -> None:
    address = f"s3://{s3_bucket.name}/checkpoints"
    with folder_at(address, "run") as (folder, mirror):
        assert WorkingState(folder, mirror).save({}, {"step": 1})
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="checkpoints/run/state-00000002.npz", Body=b"PK cut short")
    with folder_at(address, "run") as (folder, mirror):
        loaded = WorkingState(folder, mirror).load()
        assert loaded is not None
        assert loaded[1] == {"step": 1}
