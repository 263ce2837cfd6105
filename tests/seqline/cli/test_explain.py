"""`seqline explain`."""

import json

import pytest

from seqline.cli import main


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        (
            "training.dropout",
            [
                "training.dropout",
                "  accepts: number, at least 0 and below 1, or auto",
                '  default: "auto"; 0.1 with a fixed preset',
                "  read by: train",
            ],
        ),
        ("training.clip_norm", ["training.clip_norm", "  default: 1.0"]),
        ("corpus.vocabulary_size", ["corpus.vocabulary_size", '  default: "auto"; 8000 with a fixed preset']),
        ("dropout", ["training.dropout"]),
        ("parameters.training.dropout", ["training.dropout"]),
        ("data", ["data", "  read by: the run"]),
        ("gate.metric", ["gate.metric", "  read by: bless"]),
        ("targets.laptop.port", ["targets.laptop.port", "  default: 8501"]),
        ("schedules.nightly.cron", ["schedules.NAME.cron"]),
        ("resources.train.cpu", ["resources.NAME.cpu"]),
    ],
)
def test_a_key_is_explained_where_it_may_be_set(key: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", key]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == lines[0]
    assert set(lines) <= set(shown)


def test_a_key_that_must_be_set_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "targets.vertex.project"]) == 0
    assert "  default: required\n" in capsys.readouterr().out
    assert main(["explain", "schedules.NAME.start"]) == 0
    assert "  accepts: date and time\n" in capsys.readouterr().out


def test_a_section_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "targets.vertex.training", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    keys = {key["path"]: key for key in found["keys"]}
    assert keys["targets.vertex.training.replicas"]["accepts"] == "whole number, at least 1 and at most 256"
    assert any(key["path"].endswith(".tpu.topology") for key in keys["targets.vertex.training.tpu"]["keys"])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("trainin", "there is no key 'trainin'; did you mean 'training'?"),
        ("training.dropot", "there is no key 'training.dropot'; did you mean 'training.dropout'?"),
        ("trainng.dropot", "there is no key 'trainng.dropot'; did you mean 'training.dropout'?"),
        ("learning_rte", "there is no key 'learning_rte'; did you mean 'training.learning_rate'?"),
        ("accelerator", "did you mean 'resources.NAME.accelerator_type'?"),
        ("targets.laptop.xyz", "there is no key 'targets.laptop.xyz'; available: "),
        ("data.x", "there is no key 'data.x'; data has no keys below it"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", key]) == 1
    assert message in capsys.readouterr().err
