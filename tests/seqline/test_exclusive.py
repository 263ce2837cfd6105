import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqline.errors import UserError
from seqline.exclusive import exclusive

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
