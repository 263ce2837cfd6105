"""Trials that start from a checkpoint have its preset."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.plan_trials.stage import plan_trials
from seqline.components.tune.space import read_space
from seqline.components.tune.stage import tune
from seqline.components.tune.starting import check_start
from seqline.errors import UserError


def test_another_preset_than_the_checkpoint_s_is_refused_before_the_first_trial(
    checkpoint: Path, corpus: Path, tmp_path: Path
) -> None:
    said = f"warm_start: {checkpoint} has preset demo, but trials would have preset tiny; set training.preset to demo"
    with pytest.raises(UserError) as refused:
        tune(corpus, tmp_path / "tuning", tmp_path / "report.html", warm_start=str(checkpoint))
    assert str(refused.value) == said
    assert not list(tmp_path.glob("*tuning*"))
    with pytest.raises(UserError, match=r"set training\.preset to demo"):
        plan_trials("/gcs/corpus", {"container_spec": {}}, str(checkpoint))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"preset": {"values": ["demo", "tiny", "small"]}},
            "would have preset tiny and small; remove preset from tuning",
        ),
        ({"preset": {"values": ["demo"]}}, ""),
        ({"dropout": {"values": [0.1]}}, ""),
    ],
    ids=["searched", "same", "other"],
)
def test_a_searched_preset_must_be_the_checkpoint_s(checkpoint: Path, space: dict[str, Any], said: str) -> None:
    training = Training(preset="demo")
    if not said:
        check_start(str(checkpoint), training, read_space(space))
        return
    with pytest.raises(UserError, match=said):
        check_start(str(checkpoint), training, read_space(space))


def test_a_checkpoint_of_no_preset_is_left_to_the_trials(checkpoint: Path, tmp_path: Path) -> None:
    copy = Checkpoint(shutil.copytree(checkpoint, tmp_path / "copy"))
    config = copy.read_config()
    other = dataclasses.replace(config, model={**config.model, "intermediate_dim": 77}, options={}, chosen={})
    other.write(copy.config)
    check_start(str(copy.path), Training(preset="tiny"), [])


def test_options_that_start_from_nothing_are_not_checked() -> None:
    check_start("", Training(preset="tiny"), read_space(Options().space))
