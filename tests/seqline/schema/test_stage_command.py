import json
from pathlib import Path

import pytest
from pydantic import Field

from seqline.errors import UserError
from seqline.schema.options import BaseOptions
from seqline.schema.stage_command import run


class Options(BaseOptions):
    """How often."""

    size: int = Field(8, ge=1, description="Number of copies.")
    share: float = Field(0.5, ge=0, lt=1, description="Share of something.")
    label: str = Field("", description="A text.")
    rules: dict[str, int] = Field({}, description="Rules by name.")


def copy(data: Path, output: Path, again: bool = False, options: Options = Options()) -> None:  # noqa: B008 (frozen)
    """Copies the data several times.

    Args:
        data: The file to copy.
        output: The file to write.
        again: Whether to copy once more.
        options: How often.
    """
    if not data.exists():
        raise UserError(f"no file at {data}; give an existing one with --data")
    output.write_text(json.dumps([again, options.model_dump()]))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    (tmp_path / "a").write_text("x")
    return ["--data", str(tmp_path / "a"), "--output", str(tmp_path / "b")]


def test_parameters_and_options_are_flags(tmp_path: Path, paths: list[str]) -> None:
    given = ["--size", "3", "--share", "3e-1", "--label", "007", "--rules", '{"a": 1}', "--again", "true"]
    assert run(copy, [*paths, *given]) == 0
    assert json.loads((tmp_path / "b").read_text()) == [
        True,
        {"size": 3, "share": 0.3, "label": "007", "rules": {"a": 1}},
    ]


def test_what_is_not_given_keeps_its_default(tmp_path: Path, paths: list[str]) -> None:
    assert run(copy, paths) == 0
    assert json.loads((tmp_path / "b").read_text()) == [False, {"size": 8, "share": 0.5, "label": "", "rules": {}}]


def test_a_wrong_value_names_the_option_and_its_bounds(
    tmp_path: Path, paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(copy, [*paths, "--size", "many", "--share", "5"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: size must be a whole number, not 'many'",
        "share must be at least 0 and below 1, not 5",
    ]
    assert not (tmp_path / "b").exists()


def test_a_wrong_value_of_the_stage_s_own_parameter_names_it(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(copy, [*paths, "--again", "perhaps"]) == 1
    assert capsys.readouterr().err == "error: again must be of type bool, not 'perhaps'\n"


def test_bad_input_is_one_message_and_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(copy, ["--data", str(tmp_path / "no"), "--output", str(tmp_path / "b")]) == 1
    assert capsys.readouterr().err == f"error: no file at {tmp_path / 'no'}; give an existing one with --data\n"


def test_help_shows_descriptions_bounds_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        run(copy, ["--help"])
    assert done.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--data DATA The file to copy." in shown
    assert "--size VALUE Number of copies. [whole number, at least 1; default: 8]" in shown


@pytest.mark.parametrize("flag", ["--dta", "--siz"])
def test_a_wrong_flag_is_a_usage_error(flag: str, paths: list[str]) -> None:
    with pytest.raises(SystemExit) as done:
        run(copy, [*paths, flag, "3"])
    assert done.value.code == 2
