"""A folder whose manifest is missing, because what wrote it was killed, is refused in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.decision import read_decision
from seqline.artifacts.evaluation import read_evaluation
from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.predictions import Predictions
from seqline.artifacts.run_summary import read_summary
from seqline.artifacts.tuning import read_trials
from seqline.errors import UserError

READERS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "corpus": ("train-00000-of-00001.ids", "manifest.json", lambda path: Corpus(path).read_manifest()),
    "text of a corpus": ("valid.jsonl", "manifest.json", lambda path: Corpus(path).read_text("valid")),
    "shards of a corpus": ("valid.jsonl", "manifest.json", lambda path: Corpus(path).shards("train")),
    "checkpoint": ("model.weights.h5", "config.json", lambda path: Checkpoint(path).read_config()),
    "model": ("saved_model.pb", "model.json", lambda path: ExportedModel(path).read_description()),
    "evaluation": ("sentences.jsonl", "evaluation.json", read_evaluation),
    "decision": ("other.json", "decision.json", read_decision),
    "predictions": ("predictions.jsonl", "counts.json", lambda path: Predictions(path).read_counts()),
    "lines of predictions": ("predictions.jsonl", "counts.json", lambda path: list(Predictions(path).read())),
    "summary": ("other.json", "summary.json", read_summary),
    "tuning": ("best.yaml", "trials.jsonl", read_trials),
}


@pytest.mark.parametrize("name", READERS)
def test_a_folder_that_is_not_complete_is_refused(tmp_path: Path, name: str) -> None:
    written, manifest, read = READERS[name]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / written).write_text('{"source": "a", "target": "b"}\n')
    with pytest.raises(UserError) as raised:
        read(tmp_path / "out")
    message = str(raised.value)
    assert str(tmp_path / "out") in message
    assert f"{manifest} is missing; " in message
    assert "\n" not in message
