"""Commands that end or delete something: they ask on a terminal, and nowhere else."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqline.cli import main
from seqline.cli.exit_codes import ExitCode
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.targets.target import Run, Schedule

Done = list[str]


class Target:
    """A target with a run that has not ended and a schedule that no configuration has."""

    name = "vertex"
    updatable: frozenset[str] = frozenset()

    def __init__(self, done: Done) -> None:
        self.done = done

    def describe(self, run: str) -> Run:
        return Run("one", "toy", "vertex", "running")

    def cancel(self, run: str) -> Run:
        self.done.append(f"cancelled {run}")
        return Run("one", "toy", "vertex", "cancelled")

    def schedules(self) -> list[Schedule]:
        return [Schedule("nightly", "0 3 * * *", "toy")]

    def delete_schedule(self, schedule: Schedule) -> None:
        self.done.append(f"deleted {schedule.name}")


class Triggers:
    """Triggers that no configuration has."""

    updatable: frozenset[str] = frozenset()

    def __init__(self, done: Done) -> None:
        self.done = done

    def found(self) -> list[Any]:
        return [SimpleNamespace(name="new-data")]

    def delete(self, trigger: Any) -> None:
        self.done.append(f"deleted {trigger.name}")


COMMANDS: dict[str, tuple[Sequence[str], str, list[str]]] = {
    "runs cancel": (["runs", "cancel", "one"], "stop the run one?", ["cancelled one"]),
    "schedule delete": (["schedule", "delete", "nightly"], "delete the schedule nightly?", ["deleted nightly"]),
    "schedule apply": (["schedule", "apply", "--prune"], "delete nightly?", ["deleted nightly"]),
    "trigger delete": (["trigger", "delete", "new-data"], "delete the trigger new-data?", ["deleted new-data"]),
    "trigger apply": (["trigger", "apply", "--prune"], "delete new-data?", ["deleted new-data"]),
    "endpoint stop": (["endpoint", "stop", "demo"], "stop the endpoint demo?", ["stopped demo"]),
    "endpoint stop all": (
        ["endpoint", "stop", "--all"],
        "stop the endpoints demo, other?",
        ["stopped demo", "stopped other"],
    ),
    "endpoint rollback": (["endpoint", "rollback", "demo"], "roll back the endpoint demo?", ["rolled back demo"]),
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """What was done, in a folder with two local endpoints, a run, a schedule and a trigger."""
    done: Done = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQLINE_YES", raising=False)
    Path("seqline.yaml").write_text("parameters: {}\n", encoding="utf-8")
    for name in ("demo", "other"):
        endpoint = Endpoint(tmp_path / ".seqline" / "endpoints" / name)
        endpoint.write(Settings(name, "127.0.0.1", 8501, 0, {1: 0, 2: 100}, {"champion": 2, "previous": 1}))
    target, triggers = Target(done), Triggers(done)
    monkeypatch.setattr("seqline.cli.runs._open", lambda *_: target)
    monkeypatch.setattr("seqline.cli.schedule._open", lambda *_: target)
    monkeypatch.setattr("seqline.cli.trigger._open", lambda *_: (target, triggers))

    def stop(back_end: LocalBackEnd) -> bool:
        done.append(f"stopped {back_end.endpoint.path.name}")
        return True

    def roll_back(back_end: LocalBackEnd) -> int:
        done.append(f"rolled back {back_end.endpoint.path.name}")
        return 1

    monkeypatch.setattr(LocalBackEnd, "stop", stop)
    monkeypatch.setattr(LocalBackEnd, "prepare", lambda _: None)
    monkeypatch.setattr("seqline.endpoints.rollout.roll_back", roll_back)
    return done


class Terminal(io.StringIO):
    """Lines that somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Somebody at a terminal, who types an answer; empty for the end of the input."""

    def types(answer: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    return types


@every_command
def test_a_yes_does_it(
    command: str, done: Done, types: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    words, question, expected = COMMANDS[command]
    types("y\n")
    assert main([*words]) == ExitCode.DONE
    assert done == expected
    printed = capsys.readouterr()
    assert question in printed.err
    # A program that reads the output does not meet the question.
    assert "[y/N]" not in printed.out


@every_command
@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "return", "end of input"])
def test_a_no_does_nothing_and_exits_1(
    command: str, answer: str, done: Done, types: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    types(answer)
    assert main([*COMMANDS[command][0]]) == ExitCode.BAD_INPUT == 1
    assert done == []
    assert "Aborted" in capsys.readouterr().err


@every_command
@pytest.mark.parametrize("way", ["--yes", "-y", "variable", "script"])
def test_nobody_is_asked_who_has_agreed_or_is_a_script(
    command: str,
    way: str,
    done: Done,
    types: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, _, expected = COMMANDS[command]
    if way == "script":
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    else:
        types("n\n")
    if way == "variable":
        monkeypatch.setenv("SEQLINE_YES", "1")
    assert main([*words, *([way] if way.startswith("-") else [])]) == ExitCode.DONE
    assert done == expected
    assert "[y/N]" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["runs", "cancel", "one"], ["schedule", "apply"], ["trigger", "apply"]])
def test_what_ends_nothing_asks_nothing(
    words: list[str], done: Done, types: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Target, "describe", lambda *_: Run("one", "toy", "vertex", "succeeded"))
    types("n\n")
    assert main(words) == ExitCode.DONE
    assert done == []
