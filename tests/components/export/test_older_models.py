"""Models that were exported with schema version 1 of model.json."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.predictions import Predictions
from seqline.components.evaluate.options import Options as EvaluationOptions
from seqline.components.evaluate.stage import evaluate
from seqline.components.infer.stage import infer
from seqline.serving.model import Model
from tests.toys import downgrade


@pytest.fixture
def newer(toy_models: SimpleNamespace) -> Path:
    return Path(toy_models.quiet)


@pytest.fixture
def older(newer: Path, tmp_path: Path) -> Path:
    model = Path(shutil.copytree(newer, tmp_path / "older"))
    downgrade(model)
    return model


def test_a_model_of_schema_version_1_is_read(older: Path, newer: Path) -> None:
    assert '"weights": "float32"' in (older / "model.json").read_text(encoding="utf-8")
    assert ExportedModel(older).read_description() == ExportedModel(newer).read_description()


def test_a_model_of_schema_version_1_is_evaluated(older: Path, corpus: Path, tmp_path: Path) -> None:
    measured = evaluate(older, corpus, tmp_path / "evaluation", tmp_path / "report.html", EvaluationOptions())
    assert measured.model_fingerprint == ExportedModel(older).read_description().fingerprint
    assert measured.decoding["weight_dtype"] == "float32"


def test_a_model_of_schema_version_1_predicts_and_is_served(older: Path, newer: Path, tmp_path: Path) -> None:
    texts = ["red house", "two green trees"]
    (tmp_path / "in.txt").write_text("\n".join(texts))
    assert infer(str(tmp_path / "in.txt"), str(older), tmp_path / "out").predicted == 2
    predictions = [row["prediction"]["text"] for row in Predictions(tmp_path / "out").read()]
    answers = Model(older).predict(texts, ())
    assert answers == Model(newer).predict(texts, ())
    assert [answer.text for answer in answers] == predictions
