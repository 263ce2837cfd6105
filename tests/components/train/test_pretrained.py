"""Training that starts from a checkpoint in Hugging Face's format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqline.artifacts.corpus import Corpus
from seqline.components.train.options import Options
from seqline.components.train.plan import make_plan
from seqline.components.train.records import read_data
from seqline.components.train.stage import train
from seqline.components.train.starting import opened_pretrained
from seqline.components.train.working_state import run_identity
from seqline.errors import UserError
from tests import pretrained_checkpoints as checkpoints
from tests.seqline.tokenizers import small


@pytest.fixture
def write(corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint with as many tokens as the corpus."""

    def make(family: str, **changes: Any) -> Path:
        size = json.loads(Corpus(corpus).manifest.read_text())["vocabulary_size"]
        # The special tokens of our own SentencePiece models.
        special = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2}
        changes = {"vocab_size": size, **(special if family.startswith("t5") else {}), **changes}
        weights = checkpoints.weights_of(family, vocab_size=size)
        return checkpoints.write(tmp_path / family, family, config=changes, weights=weights)

    return make


def options_of(folder: Path, **rest: Any) -> Options:
    return Options(pretrained=str(folder), precision="float32", decoded_sample=0, batch_tokens=256, **rest)


@pytest.mark.parametrize("family", ["t5_v1_1", "llama3"])
def test_training_starts_from_its_weights(
    family: str, write: Callable[..., Path], corpus: Path, tmp_path: Path, begin: Callable[..., Any]
) -> None:
    folder = write(family)
    trainer = begin(corpus, tmp_path / "out", options=options_of(folder, dropout=0.25))
    model = trainer.model.model
    expected = checkpoints.weights_of(family, vocab_size=model.config.vocabulary_size)
    name = "shared.weight" if family.startswith("t5") else "model.embed_tokens.weight"
    np.testing.assert_array_equal(model.embedding.numpy(), expected[name])
    assert model.config.dropout == 0.25
    # At least the usual length, as far as the checkpoint has positions.
    assert model.config.max_length == {"t5_v1_1": 128, "llama3": 64}[family]


def test_a_corpus_that_does_not_fit_is_refused_before_training(
    write: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    other = checkpoints.write(tmp_path / "other", "t5")
    with pytest.raises(
        UserError, match=r"a vocabulary of \d+ tokens, but that of .*other has 80: tokenize the corpus w"
    ):
        train(corpus, tmp_path / "out", options=options_of(other))
    short = write("llama2", max_position_embeddings=8)
    with pytest.raises(
        UserError, match=r"a sequence of \d+ tokens, but .*llama2 has positions for 8: set corpus.max_to"
    ):
        train(corpus, tmp_path / "out", options=options_of(short))
    # Relative positions have no limit.
    with opened_pretrained(options_of(write("t5", n_positions=4))) as pretrained:
        assert make_plan(options_of(short), read_data(Corpus(corpus)), 1, pretrained).config.max_length > 4


def test_files_that_changed_since_the_snapshot_are_refused(
    write: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    options = options_of(write("t5"), pretrained_fingerprint="0" * 64)
    with pytest.raises(
        UserError, match=r"have the fingerprint \w{64}, not 0{64}: they were changed; run the pipeline ag"
    ):
        train(corpus, tmp_path / "out", options=options)


def test_two_checkpoints_to_start_from_are_refused(write: Callable[..., Path], corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.pretrained and warm_start exclude each other"):
        train(corpus, tmp_path / "out", warm_start=str(tmp_path), options=options_of(write("t5")))


def test_another_checkpoint_is_another_run(tmp_path: Path) -> None:
    found = {run_identity("c", options_of(tmp_path, pretrained_fingerprint=one), "") for one in ("a", "b")}
    assert len(found) == 2


def test_a_corpus_with_other_tokens_of_the_same_number_is_refused(
    write: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    folder = write("llama2")
    (folder / "tokenizer.model").write_bytes(small.sentencepiece_model(vocab_size=150))
    message = "the corpus has another tokenizer than .*llama2: its ids are other tokens"
    with pytest.raises(UserError, match=message):
        train(corpus, tmp_path / "out", options=options_of(folder))
    (folder / "tokenizer.model").unlink()
    (folder / "tokenizer.json").write_bytes(small.byte_level())
    with pytest.raises(UserError, match="another tokenizer than"):
        train(corpus, tmp_path / "out", options=options_of(folder))
