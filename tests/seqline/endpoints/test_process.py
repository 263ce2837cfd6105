"""The environment of stage and server processes: no module of the user's folder shadows ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import seqline
from seqline.endpoints.process import isolated

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
