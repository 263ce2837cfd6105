"""Checkpoints: files of this version and older ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig

MODEL = TransformerConfig.preset("demo", vocabulary_size=320).to_dict()
OLD_NAMES = {"hidden_dim": "width", "intermediate_dim": "feed_forward", "num_heads": "heads"}
VERSION_1 = {
    "schema_version": 1,
    "model": {OLD_NAMES.get(name, name): value for name, value in MODEL.items()},
    "options": {"preset": "demo", "accumulate": 2, "average": 0.9, "decay": "cosine"},
    "corpus_fingerprint": "f" * 64,
    "source_language": "en",
    "target_language": "de",
}


def checkpoint_of(folder: Path, content: Any) -> Checkpoint:
    for name in ("model.weights.h5", "tokenizer.model"):
        (folder / name).touch()
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return Checkpoint(folder)


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = CheckpointConfig(MODEL, {"preset": "demo"}, "f" * 64, "en", "de")
    config.write(checkpoint_of(tmp_path, {}).config)
    assert Checkpoint(tmp_path).read_config() == config
    assert json.loads((tmp_path / "config.json").read_text())["schema_version"] == 2


@pytest.mark.parametrize("content", [VERSION_1, {name: VERSION_1[name] for name in VERSION_1 if name[0] != "s"}])
def test_a_checkpoint_of_version_1_is_read_under_the_current_names(tmp_path: Path, content: dict[str, Any]) -> None:
    config = checkpoint_of(tmp_path, content).read_config()
    assert TransformerConfig.from_dict(config.model) == TransformerConfig(**MODEL)
    assert config.model == MODEL
    assert config.options == {
        "preset": "demo",
        "gradient_accumulation_steps": 2,
        "ema_momentum": 0.9,
        "lr_schedule": "cosine",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {**VERSION_1, "schema_version": 3},
            "has schema version 3, and this Seqline reads 1 to 2; train again, or",
        ),
        ({"schema_version": 2}, "cannot be read (model: field required); train again, or use the version of Seqline"),
        ("{", "train again"),
        ("[]", "train again"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError) as refused:
        checkpoint_of(tmp_path, content).read_config()
    assert f"{tmp_path / 'config.json'}" in str(refused.value)
    assert message in str(refused.value)


def test_an_incomplete_checkpoint_names_the_missing_file(tmp_path: Path) -> None:
    checkpoint_of(tmp_path, VERSION_1).weights.unlink()
    with pytest.raises(UserError, match=r"not a complete checkpoint: model.weights.h5 is missing; train again"):
        Checkpoint(tmp_path).read_config()


@pytest.mark.parametrize(
    ("options", "preset"),
    [
        ({"preset": "small"}, "small"),
        ({"preset": "auto"}, "demo"),
        ({}, "demo"),
        # With pretrained weights the option has no effect, and older checkpoints record its default.
        ({"preset": "tiny", "pretrained": "checkpoint"}, "demo"),
    ],
)
def test_the_preset_is_the_recorded_one_or_that_of_the_size(options: dict[str, str], preset: str) -> None:
    assert CheckpointConfig(MODEL, options).preset == preset
