"""The lines of logs, and following them."""

from types import SimpleNamespace
from typing import Any

import pytest

from seqline.cli.log_lines import follow, of_stages

EXECUTOR = "[KFP Executor 2026-11-29 17:51:49,015 INFO]: "


@pytest.mark.parametrize("name", ["", "train: ", "evaluate champion: "])
def test_the_input_that_the_executor_logs_is_left_out(name: str) -> None:
    lines = [
        f"{EXECUTOR}Looking for component `train` in --component_module_path `/tmp/x.py`",
        f"{EXECUTOR}Loading KFP component",
        f"{EXECUTOR}Got executor_input:",
        "{",
        '    "inputs": {',
        "    }",
        "}",
        "epoch 1: {",
        f"{EXECUTOR}Wrote executor output",
    ]
    assert list(of_stages(name + line for line in lines)) == [name + line for line in lines[-2:]]


def test_an_input_on_one_line_hides_nothing_else() -> None:
    lines = [f'{EXECUTOR}Got executor_input: {{"inputs": {{}}}}', "epoch 1"]
    assert list(of_stages(lines)) == ["epoch 1"]
    assert list(of_stages([f"{EXECUTOR}Got executor_input:", "epoch 1"])) == ["epoch 1"]


def test_following_goes_on_until_the_run_has_ended_and_repeats_no_line() -> None:
    looks: list[tuple[bool, list[str]]] = [
        (False, ["a: 1"]),
        (False, ["a: 1", "b: 1"]),
        (True, ["a: 1", "a: 1", "b: 1", "b: 2"]),
    ]
    states: Any = iter(looks)

    class Target:
        def describe(self, run: str) -> Any:
            ended, self.lines = next(states)
            return SimpleNamespace(ended=ended)

        def logs(self, run: str, task: str) -> list[str]:
            return self.lines

    target: Any = Target()
    assert list(follow(target, "run", "", 0)) == ["a: 1", "b: 1", "a: 1", "b: 2"]
