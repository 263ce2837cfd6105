"""The command's help, its exit codes and what it imports."""

import subprocess
import sys

import pytest

from seqline.cli import main

HEAVY = {"kfp", "tensorflow", "keras", "yaml", "apache_beam", "numpy", "fastapi", "jinja2", "rich"}


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["check", "--help"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    # Typer itself makes its converters of a command's options with pydantic.
    heavy = HEAVY | ({"pydantic"} if command == ["--help"] else set())
    code = (
        "import sys; from seqline.cli import main; code = main(sys.argv[1:]); "
        f"print(sorted({heavy!r} & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert "Usage: seqline" in done.stdout
    assert done.stderr.strip() == "[] 0"


def test_a_wrong_flag_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--targt", "laptop"]) == 2
    assert "--targt" in capsys.readouterr().err


def test_a_wrong_configuration_ends_with_1_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "-o", "x.yaml", "--set", "targets.laptop.prot=1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --set targets.laptop.prot=1: targets.laptop.prot: there is no such key")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_SEQLINE_COMPLETE" in capsys.readouterr().out


def test_no_command_is_told_of_in_a_sentence_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert commands
    assert "..." not in commands
