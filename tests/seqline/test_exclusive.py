import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from seqline.atomic import atomic_write
from seqline.buckets import patiently
from seqline.errors import UserError
from seqline.exclusive import LEASE, exclusive, make_folder

HOLD = """
import sys, time
from pathlib import Path
from seqline.exclusive import exclusive
with exclusive(Path(sys.argv[1]), "works"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_named_until_it_ends_even_by_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        message = rf"^process {holder.pid} on \S+ is tuning, in {tmp_path}: wait for it or stop it"
        with pytest.raises(UserError, match=message), exclusive(tmp_path, "is tuning"):
            pass
        holder.send_signal(signal.SIGKILL)
    with exclusive(tmp_path, "is tuning"):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} ")


def test_without_locks_the_work_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with exclusive(tmp_path, "works"):
        pass
    assert "cannot be locked" in caplog.text


class Clock:
    """Waits without time passing, and does something at each wait."""

    def __init__(self, at_each: Callable[[], None] = lambda: None) -> None:
        self.waited, self.at_each = 0.0, at_each

    def __call__(self, seconds: float) -> None:
        self.waited += seconds
        self.at_each()


def test_in_a_bucket_a_process_on_another_machine_is_named_as_long_as_it_renews(bucket: Path) -> None:
    renewals = iter(range(100))

    def renew() -> None:
        content = {"holder": "process 1 on there", "machine": "there", "owner": "a", "number": next(renewals)}
        atomic_write(bucket / "lock", json.dumps(content))

    renew()
    clock = Clock(renew)
    message = rf"^process 1 on there is tuning, in {bucket}: wait for it or stop it"
    with pytest.raises(UserError, match=message), exclusive(bucket, "is tuning", clock, "here"):
        pass
    assert clock.waited < LEASE
    assert json.loads((bucket / "lock").read_text())["owner"] == "a"


def test_in_a_bucket_a_killed_process_on_another_machine_is_replaced_after_its_time(bucket: Path) -> None:
    for left in (
        '{"holder": "process 1 on there", "machine": "there", "owner": "a", "number": 7}',
        "process 1 on there",
    ):
        atomic_write(bucket / "lock", left)
        clock = Clock()
        with exclusive(bucket, "is tuning", clock, "here"):
            assert json.loads((bucket / "lock").read_text())["machine"] == "here"
        assert clock.waited == LEASE
        assert not (bucket / "lock").exists()


def test_in_a_bucket_a_process_of_this_machine_is_named_until_it_ends_even_by_a_kill(bucket: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(bucket)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"^process {holder.pid} on \S+ is tuning"), exclusive(bucket, "is tuning"):
            pass
        holder.send_signal(signal.SIGKILL)
    clock = Clock()
    with exclusive(bucket, "is tuning", clock):
        assert clock.waited == 0


def test_in_a_bucket_the_lock_is_renewed_while_the_process_works(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.exclusive.RENEWAL", 0.001)
    with exclusive(bucket, "is tuning"):
        first = patiently((bucket / "lock").read_text, bucket)
        while patiently((bucket / "lock").read_text, bucket) == first:
            pass
    assert not bucket.exists()


def test_in_a_bucket_a_process_that_was_replaced_says_so_and_takes_nothing_back(
    bucket: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("seqline.exclusive.RENEWAL", 0.001)
    with exclusive(bucket, "is tuning"):
        while "process 1 on there now also works in" not in caplog.text:
            atomic_write(bucket / "lock", '{"holder": "process 1 on there", "owner": "other"}')
    assert "other" in (bucket / "lock").read_text()


def test_of_two_that_find_a_bucket_free_the_second_to_write_holds_it(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(file: Path, text: str) -> None:
        atomic_write(file, text)
        atomic_write(file, text.replace('"owner": "', '"owner": "other'))

    monkeypatch.setattr("seqline.exclusive.atomic_write", both)
    with pytest.raises(UserError, match="is tuning"), exclusive(bucket, "is tuning"):
        pass
    assert "other" in (bucket / "lock").read_text()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like NFS to this process."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw - nfs4 server:/share rw\n")
    monkeypatch.setattr("seqline.buckets.MOUNTS", mounts)
    return tmp_path / "claim"


def test_the_lock_of_a_lost_pod_on_a_network_does_not_stop_the_next_one(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock = fcntl.flock

    def held_by_the_server(file: IO[str], operation: int) -> None:
        # NFS keeps the lock of a machine that is gone.
        if Path(file.name).parent == network:
            raise BlockingIOError
        lock(file, operation)

    monkeypatch.setattr("fcntl.flock", held_by_the_server)
    network.mkdir()
    left = {"holder": "process 1 on train-pod-1", "machine": "train-pod-1 boot", "owner": "a", "number": 7}
    atomic_write(network / "lock", json.dumps(left))
    clock = Clock()
    with exclusive(network, "is training", clock, "train-pod-2 boot"):
        assert clock.waited == LEASE
        assert json.loads((network / "lock").read_text())["machine"] == "train-pod-2 boot"


def test_a_pod_on_a_network_that_still_trains_is_named(network: Path) -> None:
    renewals = iter(range(100))

    def renew() -> None:
        content = {"holder": "process 1 on pod-1", "machine": "pod-1", "owner": "a", "number": next(renewals)}
        atomic_write(network / "lock", json.dumps(content))

    network.mkdir()
    renew()
    message = "^process 1 on pod-1 is training, in "
    with pytest.raises(UserError, match=message), exclusive(network, "is training", Clock(renew), "pod-2"):
        pass


def test_a_folder_that_this_user_cannot_write_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=rf"user {os.getuid()} cannot write in {tmp_path}/file \(File exists\)"):
        make_folder(tmp_path / "file")
    # The tests may run as root, who can write everywhere.
    monkeypatch.setattr("os.access", lambda *_: False)
    with (
        pytest.raises(UserError, match=r"\(Permission denied\): give the folder to this user"),
        exclusive(tmp_path / "claim", "is training"),
    ):
        pass
