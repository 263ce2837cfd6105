from dataclasses import dataclass
from pathlib import Path

import pytest

from seqline.errors import UserError
from seqline.schema.stage_command import run


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Attributes:
        size: How many.
    """

    size: int = 8


def copy(data: Path, output: Path, options: Options = Options()) -> None:
    """Copy the data some times.

    Args:
        data: What to copy.
        output: Where to.
        options: How often.
    """
    if not data.exists():
        raise UserError(f"no file at {data}; give an existing one with --data")
    output.write_text(data.read_text() * options.size)


def test_parameters_and_option_fields_are_flags(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert run(copy, ["--data", str(tmp_path / "a"), "--output", str(tmp_path / "b"), "--size", "3"]) == 0
    assert (tmp_path / "b").read_text() == "xxx"


def test_bad_input_is_one_line_and_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(copy, ["--data", str(tmp_path / "no"), "--output", str(tmp_path / "b")]) == 1
    assert capsys.readouterr().err == f"error: no file at {tmp_path / 'no'}; give an existing one with --data\n"


def test_help_shows_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        run(copy, ["--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "What to copy." in shown
    assert "--size SIZE      How many. (type: int, default: 8)" in shown


def test_a_wrong_flag_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as done:
        run(copy, ["--dta", "x"])
    assert done.value.code == 2
