"""A killed server is restarted; one whose supervisor is killed ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# A server for the supervisor: a process that prints its id and sleeps, or exits.
SCRIPT = """
import os, sys, time
from seqline.serving.supervisor import supervise
code = supervise()
if code is not None:
    sys.exit(code)
print(os.getpid(), flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def supervised() -> Iterator["subprocess.Popen[str]"]:
    process = start(60, 0)
    yield process
    process.kill()
    process.wait()


def start(seconds: float, code: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, str(seconds), str(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def server_pid(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    return int(process.stdout.readline())


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_killed_server_is_restarted(supervised: "subprocess.Popen[str]") -> None:
    first = server_pid(supervised)
    os.kill(first, signal.SIGKILL)
    second = server_pid(supervised)
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert server_pid(supervised) not in (first, second)
    assert supervised.poll() is None


def test_sigterm_ends_the_server_and_the_supervisor(supervised: "subprocess.Popen[str]") -> None:
    server = server_pid(supervised)
    supervised.send_signal(signal.SIGTERM)
    assert supervised.wait(60) == 0
    assert gone(server)


def test_a_server_does_not_outlive_its_supervisor(supervised: "subprocess.Popen[str]") -> None:
    server = server_pid(supervised)
    supervised.kill()
    supervised.wait()
    assert gone(server)


@pytest.mark.parametrize("code", [0, 1])
def test_a_server_that_exits_is_not_restarted(code: int) -> None:
    process = start(0, code)
    assert server_pid(process)
    assert process.wait(60) == code


def test_sigterm_before_a_restart_ends_the_supervisor_and_signals_no_ended_process(tmp_path: Path) -> None:
    # The waiting time is longer than the test may take.
    script = f"""
import os
from seqline.serving import supervisor
supervisor.FIRST_WAIT = 600.0
kill = os.kill
def recorded(pid, number):
    open({str(tmp_path / "signals")!r}, "a").write(f"{{pid}} {{number}}")
    kill(pid, number)
os.kill = recorded
{SCRIPT}
"""
    command = [sys.executable, "-c", script, "600", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = server_pid(process)
        os.kill(first, signal.SIGKILL)
        assert process.stderr
        assert "killed by signal 9; restarting it" in process.stderr.readline()
        assert gone(first)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout
        assert process.stdout.read() == ""  # no second server
        assert not (tmp_path / "signals").exists()
    finally:
        process.kill()
        process.wait()


def test_signals_while_the_server_starts_are_not_lost() -> None:
    for _ in range(10):
        process = start(60, 0)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():  # it is being forked, and prints nothing yet
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
