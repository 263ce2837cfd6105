"""The rotation of server.log: a process writes to it as stderr, as its other processes do."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import logging, os, subprocess, sys
from pathlib import Path
from seqline.serving import logs
logs.log_to_stderr()
handler = logs.RotatedStderr(Path(sys.argv[1]), 2000)
handler.setFormatter(logs.JsonFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
for number in range(int(sys.argv[2])):
    logging.info("line %05d", number)
    if number % 50 == 0:
        os.write(1, b"raw line %05d\\n" % number)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def write(log: Path, lines: int, mode: str = "a", named: Path | None = None) -> None:
    with log.open(mode) as file:
        command = [sys.executable, "-c", SCRIPT, str(named or log), str(lines)]
        subprocess.run(command, stdout=file, stderr=file, check=True)


def content(log: Path) -> str:
    files = [log.with_name(f"server.log.{number}") for number in (3, 2, 1)] + [log]
    return "".join(file.read_text() for file in files if file.exists())


def test_a_large_log_is_rotated_and_no_line_is_lost(log: Path) -> None:
    write(log, 60)
    assert {file.name for file in log.parent.iterdir()} >= {"server.log", "server.log.1", "server.log.2"}
    lines = content(log).splitlines()
    assert [line for line in lines if "raw" in line] == ["raw line 00000", "raw line 00050"]
    assert [line.split('"line ')[1][:5] for line in lines if "raw" not in line] == [f"{n:05d}" for n in range(60)]
    assert "\0" not in content(log)  # both descriptors go on at the new end


def test_only_a_few_files_of_the_size_are_kept(log: Path) -> None:
    write(log, 500)
    write(log, 500)
    assert {file.name for file in log.parent.iterdir()} == {"server.log", *(f"server.log.{n}" for n in (1, 2, 3))}
    assert max(file.stat().st_size for file in log.parent.iterdir()) < 2500
    assert "line 00499" in content(log).splitlines()[-1]


def test_another_file_is_not_emptied(log: Path) -> None:
    other = log.with_name("other")
    other.write_text("x" * 5000)
    write(log, 100, named=other)  # stderr is not this file
    write(log.with_name("overwritten"), 100, mode="w", named=log.with_name("overwritten"))  # not appended to
    assert other.read_text() == "x" * 5000
    assert not list(log.parent.glob("*.1"))
