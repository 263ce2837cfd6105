"""The untouched checkpoint, exported as what fine-tuning must improve on."""

from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.export import stage as exporting
from seqline.components.export.baseline import stage
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.errors import UserError
from seqline.pretrained.source import find
from tests import whole_checkpoints


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The checkpoints that were to be exported: the model's configuration of each."""
    found: list[dict[str, Any]] = []

    def export(checkpoint: Path, *rest: Any) -> None:
        given = Checkpoint(checkpoint)
        assert given.weights.exists()
        assert b"head" in given.tokenizer.read_bytes()
        found.append(given.read_config().model)

    monkeypatch.setattr(exporting, "export", export)
    return found


def test_the_checkpoint_is_exported_with_the_corpus_s_prompt(tmp_path: Path, exported: list[dict[str, Any]]) -> None:
    folder = whole_checkpoints.write_llama_2(tmp_path / "whole")
    (tmp_path / "a.tsv").write_text("".join(f"one {number}\teins {number}\n" for number in range(40)))
    options = Options(tokenizer=str(folder), valid_share=0.2, test_share=0.2, shards=1)
    tokenize(str(tmp_path / "a.tsv"), tmp_path / "corpus", tmp_path / "page.html", options=options)
    stage.baseline(str(folder), find(str(folder)).fingerprint, tmp_path / "corpus", tmp_path / "model")
    assert len(exported) == 1
    assert b"{source}" in Corpus(tmp_path / "corpus").tokenizer.read_bytes()
    with pytest.raises(UserError, match="were changed; run the pipeline again"):
        stage.baseline(str(folder), "0" * 64, tmp_path / "corpus", tmp_path / "model")


def test_without_a_checkpoint_nothing_is_exported(tmp_path: Path, exported: list[dict[str, Any]]) -> None:
    stage.baseline("", "", tmp_path / "corpus", tmp_path / "model")
    assert exported == []
    assert not (tmp_path / "model" / "saved_model.pb").exists()
