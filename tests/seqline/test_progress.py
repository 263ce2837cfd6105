"""Records of how far a stage is."""

import io
import json
import math
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline import progress
from seqline.progress import LOG, PREFIX, VARIABLE, Progress, Reporter, counting, last_of, newest

ANY = st.floats(allow_nan=True, allow_infinity=True)
RECORDS = st.builds(
    Progress,
    text=st.text(),
    share=st.none() | ANY,
    values=st.dictionaries(st.text(), ANY, max_size=3),
    rate=ANY,
    unit=st.text(),
    seconds_left=st.none() | ANY,
)


@given(RECORDS)
def test_a_record_is_one_line_and_is_read_again(record: Progress) -> None:
    line = record.write()
    assert "\n" not in line
    json.loads(line, parse_constant=pytest.fail)
    found = Progress.read(line)
    assert found is not None
    assert Progress.read(found.write()) == found
    assert found.text == record.text
    assert all(math.isfinite(value) for value in found.values.values())
    str(found)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"share": 1}', "3"])
def test_what_is_no_record_is_read_as_none(text: str) -> None:
    assert Progress.read(text) is None


def test_a_record_reads_as_a_sentence() -> None:
    record = Progress("epoch 3 of 7 (40%)", 0.34, {"loss": 2.3123, "valid BLEU": 31.24}, 12345.6, "target tokens", 130)
    assert str(record) == "epoch 3 of 7 (40%), loss 2.312, valid BLEU 31.24, 12,346 target tokens/s, 2 min left"
    assert str(Progress.of_amount("decoding", 50, 200, "sentences", 10)) == (
        "decoding 50 of 200 sentences, 5 sentences/s, 30 s left"
    )
    assert progress.duration(11_000) == "3 h 3 min"


def test_a_file_gets_a_record_a_second_and_a_log_one_each_quarter_minute(tmp_path: Path) -> None:
    for where, seconds in ((str(tmp_path), 1.0), (LOG, 15.0)):
        now = [0.0]
        reporter = Reporter(where, lambda now=now: now[0])  # type: ignore[misc]
        with redirect_stderr(io.StringIO()) as shown:
            for moment in (0.0, seconds / 2, seconds, seconds * 1.5):
                now[0] = moment
                reporter.report(Progress(f"at {moment}"))
        if where == LOG:
            lines = shown.getvalue().splitlines()
            assert [Progress.read(line.removeprefix(PREFIX)) for line in lines] == [
                Progress("at 0.0"),
                Progress("at 15.0"),
            ]
            assert last_of(["x", f"2026-11-30 INFO {lines[0]}", f"{PREFIX}cut {{", "y"]) == Progress("at 0.0")
        else:
            assert newest(tmp_path) == Progress("at 1.0")


def test_no_error_reaches_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(file))  # not a folder
    progress.report(lambda: Progress("x"))
    progress.report(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    monkeypatch.setenv(progress.COUNTS, str(file))
    progress.count(rows=1)


def test_without_the_variable_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    progress.report(lambda: pytest.fail("made"))
    with counting(lambda counts: pytest.fail("made")):
        progress.count(rows=1)


def test_what_all_processes_count_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress"))
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)

    def make(counts: dict[str, int]) -> Progress | None:
        return Progress(f"{counts['rows']} rows") if counts.get("rows") else None

    with counting(make):  # type: ignore[arg-type]
        progress.count(rows=2)
        # As another process does.
        Path(os.environ[progress.COUNTS], "1.json").write_text('{"rows": 3}', encoding="utf-8")
    assert newest(tmp_path / "progress") == Progress("5 rows")
    assert progress.COUNTS not in os.environ


def test_progress_imports_nothing_heavy() -> None:
    code = "import seqline.progress, sys; print({'numpy', 'yaml', 'pydantic', 'apache_beam'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
