"""A server that is killed comes back; one whose keeper is killed goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# What a server is to the keeper: a process that says who it is and waits, or ends.
SCRIPT = """
import os, sys, time
from seqline.serving.supervisor import keep
code = keep()
if code is not None:
    sys.exit(code)
print(os.getpid(), flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def kept() -> Iterator["subprocess.Popen[str]"]:
    process = start(60, 0)
    yield process
    process.kill()
    process.wait()


def start(seconds: float, code: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, str(seconds), str(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def said(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    return int(process.stdout.readline())


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_server_that_is_killed_is_started_again(kept: "subprocess.Popen[str]") -> None:
    first = said(kept)
    os.kill(first, signal.SIGKILL)
    second = said(kept)
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert said(kept) not in (first, second)
    assert kept.poll() is None


def test_sigterm_reaches_the_server_and_both_end(kept: "subprocess.Popen[str]") -> None:
    server = said(kept)
    kept.send_signal(signal.SIGTERM)
    assert kept.wait(10) == 0
    assert gone(server)


def test_a_server_does_not_outlive_its_keeper(kept: "subprocess.Popen[str]") -> None:
    server = said(kept)
    kept.kill()
    kept.wait()
    assert gone(server)


@pytest.mark.parametrize("code", [0, 1])
def test_a_server_that_ends_by_itself_is_not_started_again(code: int) -> None:
    process = start(0, code)
    assert said(process)
    assert process.wait(10) == code
