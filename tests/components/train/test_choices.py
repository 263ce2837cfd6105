"""What was chosen, and the choices that only the task decides."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.choices import Choice, Choices, choose_by_task
from seqline.components.train.options import Options


@pytest.mark.parametrize("shape", [{}, {"pointer": True, "positions": "rotary"}], ids=str)
@pytest.mark.parametrize("task", ["translation", "question_answering"])
def test_a_warm_start_decides_what_the_task_would(
    checkpoint: Path, tmp_path: Path, shape: dict[str, Any], task: str
) -> None:
    copy = Checkpoint(Path(shutil.copytree(checkpoint, tmp_path / "checkpoint")))
    config = copy.read_config()
    dataclasses.replace(config, model={**config.model, **shape}).write(copy.config)
    options = Choices(choose_by_task(Options(), task, copy.path)).applied(Options()).settled()
    assert (options.pointer, options.positions) == (bool(shape), "rotary" if shape else "sinusoidal")


def test_choices_survive_json() -> None:
    choices = Choices({"dropout": Choice(0.3, "few tokens"), "preset": Choice("tiny", "it fits")})
    assert Choices.from_dict(json.loads(json.dumps(choices.to_dict()))) == choices
