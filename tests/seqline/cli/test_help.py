"""The command's help, its exit codes and its imports."""

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.main import get_command

from seqline.cli import app, main
from seqline.cli.examples import commands
from seqline.cli.exit_codes import ExitCode, exit_code
from seqline.cli.options import at_home
from seqline.cli.verbosity import Verbosity, set_verbosity, without_flags
from seqline.errors import UnreachableError, UserError
from seqline.targets.target import RunFailedError

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


def test_the_modules_of_the_commands_read_no_environment_variable() -> None:
    # typer, its own reading of the environment and seqline/__init__.py are loaded before.
    code = """
import os, sys, typer, typer.rich_utils, seqline
before, read = dict(os.environ), []
class Recorded(dict):
    def __getitem__(self, name): read.append(name); return super().__getitem__(name)
    def get(self, name, default=None): read.append(name); return super().get(name, default)
    def __contains__(self, name): read.append(name); return super().__contains__(name)
os.environ = Recorded(before)
os.getenv = os.environ.get
import importlib, pkgutil, seqline.cli
for module in pkgutil.iter_modules(seqline.cli.__path__):
    if module.name not in ("__main__", "watching"):
        importlib.import_module(f"seqline.cli.{module.name}")
print(read)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_flag_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--targt", "laptop"]) == ExitCode.BAD_FLAG == 2
    assert "--targt" in capsys.readouterr().err


def test_a_wrong_configuration_exits_with_1_and_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "-o", "x.yaml", "--set", "targets.laptop.prot=1"]) == ExitCode.BAD_INPUT == 1
    message = capsys.readouterr().err
    assert message.startswith(
        "error: --set targets.laptop.prot=1: targets.laptop.prot: is unknown; did you mean 'port'?"
    )


@pytest.mark.parametrize(("error", "code"), [(UserError("x"), 1), (RunFailedError("x"), 3), (UnreachableError("x"), 4)])
def test_each_kind_of_error_has_its_exit_code(error: UserError, code: int) -> None:
    assert exit_code(error) == code


def test_the_documentation_lists_the_exit_codes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| (.+) \|$", page)
    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_SEQLINE_COMPLETE" in capsys.readouterr().out


GROUPS = [[]] + [[name] for name, command in get_command(app).commands.items() if hasattr(command, "commands")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " ".join(group) or "seqline")
def test_no_sentence_about_a_command_is_cut(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*group, "--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert commands
    assert "..." not in commands


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " ".join(group) or "seqline")
def test_every_option_has_a_help_text(group: list[str]) -> None:
    command = get_command(app)
    for name in group:
        command = command.commands[name]  # type: ignore[attr-defined]
    for name, one in command.commands.items():  # type: ignore[attr-defined]
        for parameter in one.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_every_path_on_the_command_line_may_begin_with_a_tilde() -> None:
    def functions(group: typer.Typer) -> Iterator[Any]:
        yield from (command.callback for command in group.registered_commands)
        for inner in group.registered_groups:
            yield from functions(inner.typer_instance or typer.Typer())

    hints = [hint for one in functions(app) for hint in inspect.signature(one).parameters.values()]
    paths = [hint.annotation for hint in hints if "Path" in str(get_args(hint.annotation)[:1])]
    assert len(paths) > 20
    assert all(path.__metadata__[0].callback is at_home for path in paths)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"seqline \d+\.\d+\.\d+ \(Python 3\..+\)\n", capsys.readouterr().out)


def test_flags_after_two_dashes_are_arguments() -> None:
    assert without_flags(["predict", "-q", "--", "-v"]) == (Verbosity(quiet=True), ["predict", "--", "-v"])


def test_options_name_what_they_take() -> None:
    def check(command: Any) -> None:
        for inner in getattr(command, "commands", {}).values():
            check(inner)
        for parameter in command.params:
            if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False):
                assert parameter.metavar, f"{command.name} {parameter.name}"

    check(get_command(app))


COMMANDS = dict(commands(get_command(app)))
PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_ends_with_examples_that_the_command_accepts(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out.partition("Examples:\n")[2].splitlines()
    assert shown
    for line in shown:
        _, *arguments = shlex.split(line.partition(" > ")[0])
        assert tuple(arguments[: len(words)]) == words
        # Parsing checks flags, choices and the number of arguments; nothing runs.
        COMMANDS[words].make_context("seqline", arguments[len(words) :], resilient_parsing=False)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_prints_json_and_the_documentation_has_its_shape(words: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[words].params)
    shapes = re.findall(r"(?m)^\| `([^`]+)` \| (object|array|object a line)\b", PAGE.partition("## JSON")[2])
    assert " ".join(words) in dict(shapes)


def test_the_documentation_lists_every_variable_with_its_option() -> None:
    rows = dict(re.findall(r"(?m)^\| `(SEQLINE_[A-Z_]+)` \| `([a-z-]+)`", PAGE))
    parameters = [*get_command(app).params, *(one for command in COMMANDS.values() for one in command.params)]
    known = {
        str(one.envvar): f"--{'endpoint' if one.param_type_name == 'argument' else max(one.opts, key=len)[2:]}"
        for one in parameters
        if one.envvar
    }
    assert rows == known


def test_a_shared_option_has_a_variable() -> None:
    shared = {"config", "target", "pipeline", "home", "endpoint", "address", "api_endpoint", "as_json", "yes"}
    for words, command in COMMANDS.items():
        for one in command.params:
            # Of the same name, but something else: a corpus's language, a run's pipeline in its spec, the pipeline to
            # eject, and a folder of images. The demo must not replace the model of the user's endpoint.
            others = {
                "target": ("sample",),
                "pipeline": ("runs", "eject"),
                "home": ("images",),
                "endpoint": ("demo",),
            }
            repeats = words[0] in others.get(one.name, ())
            if one.name in shared and not repeats:
                assert one.envvar, (words, one.name)


@pytest.mark.parametrize(("value", "verbose"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_a_variable_sets_a_flag(value: str, verbose: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLINE_VERBOSE", value)
    assert without_flags(["check"])[0].verbose == verbose


def test_arguments_are_written_as_other_programs_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    for words, usage in (
        (["explain"], "Usage: seqline explain [OPTIONS] KEY\n"),
        (["schedule", "pause"], "Usage: seqline schedule pause [OPTIONS] NAME\n"),
        (["endpoint", "traffic"], "VERSION=PERCENT..."),
        (["predict"], "[TEXT]..."),
    ):
        assert main([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        assert usage in shown
        assert "<str>" not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check-artifact", "modle", "x"], "there is no 'modle'; did you mean 'model'?"),
        (["completion", "powershell"], "there is no 'powershell'; available: bash, fish, zsh"),
    ],
)
def test_a_word_that_is_no_choice_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitCode.BAD_FLAG
    assert f"Invalid value for '{'KIND' if words[0] == 'check-artifact' else 'SHELL'}': {message}" in (
        capsys.readouterr().err
    )


def test_verbose_shows_the_stack_trace_and_keeps_message_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(key: str) -> None:
        raise UnreachableError("the service does not respond")

    monkeypatch.setattr("seqline.configuration.explaining.explain", fail)
    for arguments in (["explain", "data", "-v"], ["--verbose", "explain", "data"]):
        assert main(arguments) == ExitCode.UNREACHABLE
        shown = capsys.readouterr().err
        assert "Traceback (most recent call last)" in shown
        assert shown.endswith("error: the service does not respond\n")
    set_verbosity(Verbosity())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init", "/proc/none/a.yaml"], "error: /proc/none: No such file or directory\n"),
        (["sample", "/proc/a.tsv", "--pairs", "3"], "error: /proc/a.tsv: No such file or directory\n"),
        (["compile", "--output", "/proc/a.yaml"], "error: /proc/a.yaml: No such file or directory\n"),
        (["eject", "training", "/proc/a.py"], "error: /proc/a.py: No such file or directory\n"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == message
