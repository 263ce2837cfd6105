"""model.json: written, read in both versions, or rejected with a remedy."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.exported_model import Decoding, Description, ExportedModel
from seqline.errors import UserError

DESCRIPTION = Description("f", "en", "de", Decoding(2, 1.0, 9, 16, weight_dtype="int8"), "c", "2026-01-01", "2.21.0")


def test_a_description_is_read_as_written(tmp_path: Path) -> None:
    ExportedModel(tmp_path).write_description(DESCRIPTION)
    assert ExportedModel(tmp_path).read_description() == DESCRIPTION
    assert json.loads((tmp_path / "model.json").read_text())["schema_version"] == 2


def test_version_1_is_read_under_its_names(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(
        '{"fingerprint": "f", "source_language": "en", "target_language": "de", "decoding": {"beam_size": 2, '
        '"length_penalty": 1.0, "max_input_length": 9, "max_output_length": 16, "early_stop": true, '
        '"weights": "int8"}, "corpus_fingerprint": "c", "created": "2026-01-01", "tensorflow": "2.21.0", '
        '"schema_version": 1}'
    )
    assert ExportedModel(tmp_path).read_description() == DESCRIPTION


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"schema_version": 2', '"schema_version": 3', "has schema version 3, and this Seqline reads 1 to 2; export"),
        ('"fingerprint": "f",', "", "cannot be read .*fingerprint.*; export the model again"),
        ('"beam_size": 2', '"beam_size": "two"', r"decoding\.beam_size.*; export the model again"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_remedy(tmp_path: Path, before: str, after: str, message: str) -> None:
    ExportedModel(tmp_path).write_description(DESCRIPTION)
    file = tmp_path / "model.json"
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(UserError, match=message):
        ExportedModel(tmp_path).read_description()


def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    assert not ExportedModel(tmp_path).exists
    with pytest.raises(UserError, match=r"contains no exported model: model\.json is missing; export it again"):
        ExportedModel(tmp_path).read_description()
