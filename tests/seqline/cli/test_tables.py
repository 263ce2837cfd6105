"""Tables on a terminal and in a pipe."""

import os
import pty
import re
import subprocess
import sys

import pytest

from seqline.cli.tables import print_table

LONG = "x" * 300


def test_a_table_in_a_pipe_has_a_row_a_line_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("run", "last run"), [(1, LONG), ("two", ""), ("three", "a\nb")], "none")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["RUN    LAST RUN", f"1      {LONG}", "two    -", "three  a b"]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("run",), [], "no runs")
    assert capsys.readouterr().out == "no runs\n"


def on_a_terminal(code: str, typed: bytes = b"") -> str:
    """What a terminal of 60 columns shows of a program that reads what is typed there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        os.write(ours, typed)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the program has ended
            pass
        process.wait()
    os.close(ours)
    return shown.decode()


def test_a_table_on_a_terminal_fits_it() -> None:
    code = "from seqline.cli.tables import print_table; print_table(('run', 'text'), [('[b]', 'word ' * 40)], '')"
    lines = on_a_terminal(code).replace("\r", "").splitlines()
    assert len(lines) > 3
    assert "[b]" in lines[1]
    assert all(len(re.sub("\x1b\\[[0-9]*m", "", line)) <= 60 for line in lines)


@pytest.mark.parametrize(
    ("yes", "typed", "shown"),
    [(False, b"y\n", "done"), (False, b"n\n", "Aborted"), (False, b"\n", "Aborted"), (True, b"", "done")],
)
def test_a_command_that_removes_something_asks_first(yes: bool, typed: bytes, shown: str) -> None:
    code = (
        "import typer\nfrom seqline.cli.confirming import confirm\n"
        f"def main():\n  confirm('delete it', {yes})\n  print('done')\ntyper.run(main)"
    )
    text = on_a_terminal(code, typed)
    assert ("delete it?" in text) != yes
    assert shown in text


def test_a_script_is_not_asked() -> None:
    code = "from seqline.cli.confirming import confirm; confirm('delete it', False); print('done')"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout == b"done\n"
