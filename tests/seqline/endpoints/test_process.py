"""The environment of stage and server processes, and the file that identifies a running one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqline
from seqline.endpoints import process
from seqline.endpoints.process import isolated, record, stop

ROOT = Path(seqline.__file__).resolve().parents[1]


def test_relative_entries_of_the_path_are_dropped_and_absolute_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([".", "", str(tmp_path), "lib"])
    assert isolated({"PYTHONPATH": path})["PYTHONPATH"] == str(tmp_path)
    assert "PYTHONPATH" not in isolated({"PYTHONPATH": "."})
    assert "PYTHONPATH" not in isolated({"PYTHONPATH": ""})


def test_a_relative_entry_that_seqline_comes_from_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert isolated({"PYTHONPATH": "."})["PYTHONPATH"] == str(ROOT)


def test_a_relative_path_of_credentials_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variables = isolated({"GOOGLE_APPLICATION_CREDENTIALS": "key.json"})
    assert variables["GOOGLE_APPLICATION_CREDENTIALS"] == str(tmp_path / "key.json")


def test_a_module_of_the_current_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "wave.py").write_text("raise SystemExit('hostile')")
    command = [sys.executable, "-c", "import wave"]
    environment = {**os.environ, "PYTHONPATH": "."}
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True).returncode
    if sys.version_info >= (3, 11):
        subprocess.run(command, cwd=tmp_path, env=isolated(environment), check=True)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_the_recorded_process_is_stopped(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = tmp_path / "server.pid"
    record(file, sleeper.pid)
    assert stop(file, 60)
    assert sleeper.wait() == -signal.SIGTERM
    assert not file.exists()
    assert not stop(file, 60)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout
        stubborn.stdout.readline()
        record(tmp_path / "server.pid", stubborn.pid)
        assert stop(tmp_path / "server.pid", 0.1)
        assert stubborn.wait() == -signal.SIGKILL


def test_a_number_that_was_recycled_is_not_signalled(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.pid"
    record(file, sleeper.pid)
    started = [process.start_of(sleeper.pid)]
    # The recorded process ends right after it was found, and another one gets its number.
    monkeypatch.setattr(process, "start_of", lambda pid: started.pop() if started else "boot 99")
    assert not stop(file, 0.1)
    assert sleeper.poll() is None
