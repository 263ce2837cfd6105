"""The mounted bucket behaves as gcsfuse does; tests/stand_ins/gcsfuse/file_system.py names the source of each rule."""

import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.stand_ins.gcsfuse import Mount


@pytest.fixture
def folder(bucket: Path) -> Path:
    bucket.mkdir()
    return bucket


@pytest.fixture
def elsewhere(mount: Mount, folder: Path, tmp_path: Path) -> Iterator[Path]:
    """The same folder on another machine."""
    with Mount(mount.objects, tmp_path / "elsewhere").running() as other:
        yield other.path / folder.name


def refused(number: int) -> "pytest.RaisesExc[OSError]":
    return pytest.raises(OSError, match=os.strerror(number))


def test_a_file_is_written_read_listed_renamed_and_deleted(folder: Path) -> None:
    (folder / "a").write_bytes(b"x" * 300_000)
    (folder / "sub").mkdir()
    (folder / "a").replace(folder / "sub" / "b")
    assert (folder / "sub" / "b").read_bytes() == b"x" * 300_000
    assert [path.name for path in folder.iterdir()] == ["sub"]
    (folder / "sub" / "b").unlink()


def test_a_folder_with_files_cannot_be_renamed(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a").rename(folder / "b")
    (folder / "b" / "x").write_text("1")
    with refused(errno.EMFILE):
        (folder / "b").rename(folder / "c")
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    assert rename(-100, bytes(folder / "b"), -100, bytes(folder / "b" / "x"), 2) == -1
    assert ctypes.get_errno() == errno.EINVAL


def test_there_are_no_links(folder: Path) -> None:
    (folder / "x").write_text("1")
    for link in (os.link, os.symlink):
        with pytest.raises(OSError, match=r"not implemented|not permitted"):
            link(folder / "x", folder / "y")


def test_a_file_is_written_in_order_and_replaced_as_a_whole(folder: Path) -> None:
    (folder / "x").write_text("12345")
    for mode in ("a", "r+"):
        with refused(errno.ENOTSUP), (folder / "x").open(mode) as file:
            file.write("6")
    with refused(errno.ENOTSUP), (folder / "x.npz").open("wb") as opened:
        np.savez(opened, a=np.zeros(3))
    (folder / "x").write_text("6")
    assert (folder / "x").read_text() == "6"


def test_another_machine_sees_a_file_when_it_is_closed(folder: Path, elsewhere: Path) -> None:
    with (folder / "x").open("w") as file:
        file.write("1")
        file.flush()
        os.fsync(file.fileno())
        assert (folder / "x").read_text() == "1"
        assert not (elsewhere / "x").exists()
    assert (elsewhere / "x").read_text() == "1"


def test_a_folder_goes_with_its_last_file_and_others_never_see_an_empty_one(
    mount: Mount, folder: Path, elsewhere: Path
) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    assert not (elsewhere / "a").exists()
    (folder / "a" / "b" / "x").write_text("1")
    assert (elsewhere / "a" / "b" / "x").exists()
    (folder / "a" / "b" / "x").unlink()
    assert not folder.exists()
    folder.mkdir()
    mount.forget_empty_folders()
    assert not folder.exists()


def test_a_file_that_is_replaced_while_it_is_read_is_stale(folder: Path) -> None:
    (folder / "x").write_text("old")
    with (folder / "x").open("rb", buffering=0) as file:
        (folder / "y").write_text("new")
        (folder / "y").replace(folder / "x")
        with refused(errno.ESTALE):
            file.read()


def test_a_lock_holds_on_one_machine_only(folder: Path, elsewhere: Path) -> None:
    (folder / "lock").touch()
    with (folder / "lock").open() as ours, (folder / "lock").open() as same, (elsewhere / "lock").open() as other:
        fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(same, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_modes_are_ignored(folder: Path) -> None:
    (folder / "x").touch()
    (folder / "x").chmod(0o600)
    assert (folder / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("operation", ["create", "write", "flush"])
def test_an_operation_fails_once(mount: Mount, folder: Path, operation: str) -> None:
    mount.fail(operation, f"{folder.name}/x")
    with refused(errno.EIO):
        (folder / "x").write_text("1")
    (folder / "x").write_text("2")
    assert (folder / "x").read_text() == "2"


def test_what_a_killed_process_had_written_becomes_an_object(mount: Mount, folder: Path, elsewhere: Path) -> None:
    mount.kill("write", f"{folder.name}/x")
    code = "import sys; open(sys.argv[1], 'wb', buffering=0).write(b'x' * (1 << 20))"
    killed = subprocess.run([sys.executable, "-c", code, str(folder / "x")])
    assert killed.returncode == -signal.SIGKILL
    assert mount.left() == []
    # The kernel closes the file after the process has ended.
    while not (elsewhere / "x").exists():
        pass
    assert 0 < (elsewhere / "x").stat().st_size < 1 << 20
