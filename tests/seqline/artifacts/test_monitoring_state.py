"""The state of monitoring: files that several runs of monitoring may write at once."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from seqline.artifacts.monitoring_state import SETTLE, Folder


@pytest.fixture(params=["disk", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        yield Folder(f"s3://{bucket.name}/state")
    else:
        yield Folder(str(tmp_path / "state") if request.param == "disk" else f"memory://{uuid.uuid4().hex}")


def test_a_file_is_created_once(folder: Folder) -> None:
    assert folder.create("a.json", "first")
    assert not folder.create("a.json", "second")
    assert folder.read("a.json") == "first"
    assert folder.names() == ["a.json"]


def test_a_claim_is_the_first_one_s_and_stays_its_own(folder: Folder) -> None:
    waited: list[float] = []
    assert folder.claim("a.json", "mine", waited.append)
    assert folder.claim("a.json", "mine", waited.append)
    assert not folder.claim("a.json", "theirs", waited.append)
    assert waited == ([SETTLE] if "://" in folder.address else [])


def test_of_claims_at_the_same_moment_one_succeeds_where_the_store_keeps_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as SeaweedFS: https://github.com/seaweedfs/seaweedfs/issues/8800."""
    writing, written = threading.Barrier(3), threading.Barrier(3)
    write = MemoryFileSystem.pipe_file

    def pipe_file(self: MemoryFileSystem, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        writing.wait(30)  # each has seen that there is no such file
        write(self, path, value, **more)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    found: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda text: found.append(folder.claim("a.json", text, lambda _: written.wait(30))),
            args=(str(number),),
        )
        for number in range(3)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(found) == [False, False, True]


def test_of_processes_on_one_disk_that_create_a_file_one_succeeds(tmp_path: Path) -> None:
    ready = threading.Barrier(8)
    found: list[bool] = []

    def create(number: int) -> None:
        ready.wait(30)
        found.append(Folder(str(tmp_path)).create("a.json", str(number) * 1000))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert found.count(True) == 1
    assert len((tmp_path / "a.json").read_text()) == 1000
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
