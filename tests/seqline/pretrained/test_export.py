"""An imported checkpoint, exported: the SavedModel gives the outputs of transformers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from seqline.artifacts.corpus import Corpus
from seqline.modeling.language_model import padded
from seqline.pretrained.checkpoint import read_pretrained
from seqline.pretrained.loading import build_model, write_checkpoint
from tests import pretrained_checkpoints as checkpoints

FAMILY = "t5_v1_1"


def tokenizer_of(sentences: list[str], file: Path) -> Path:
    """A SentencePiece model with T5's special tokens, filled up to the vocabulary of the small checkpoints."""

    def train(*symbols: str) -> int:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_prefix=str(file.with_suffix("")),
            vocab_size=checkpoints.VOCABULARY,
            hard_vocab_limit=False,
            user_defined_symbols=list(symbols),
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=2,
        )
        return int(sentencepiece.SentencePieceProcessor(model_file=str(file)).get_piece_size())

    assert train(*(f"<extra_{number}>" for number in range(checkpoints.VOCABULARY - train()))) == checkpoints.VOCABULARY
    return file


@pytest.mark.e2e(seconds=20)
def test_the_exported_model_gives_the_outputs_of_transformers(corpus: Path, tmp_path: Path) -> None:
    from seqline.components.export.options import DecodingOptions
    from seqline.components.export.stage import export

    texts = Corpus(shutil.copytree(corpus, tmp_path / "corpus"))
    sentences = [pair[side] for pair in texts.read_text("valid") for side in ("source", "target")]
    tokenizer = tokenizer_of(sentences, tmp_path / "spiece.model")
    model = build_model(read_pretrained(checkpoints.write(tmp_path / FAMILY, FAMILY)))
    write_checkpoint(model, tmp_path / "checkpoint", tokenizer, "en", "de")
    options = DecodingOptions(beam_size=1, length_penalty=0.0, max_output_length=24)
    export(tmp_path / "checkpoint", texts.path, tmp_path / "model", options)

    expected = np.load(Path(__file__).parent / "expected" / f"{FAMILY}.npz")
    drawn = checkpoints.inputs(FAMILY, 500)
    rows = padded([drawn[number] for number in expected["chosen"]], 0)
    found = tf.saved_model.load(str(tmp_path / "model")).signatures["ids"](ids=tf.constant(rows))["ids"].numpy()
    # After the end, ours are padded with 0 and those of transformers with -1.
    np.testing.assert_array_equal(found, np.maximum(expected["greedy"], 0)[:, : found.shape[1]])
    assert json.loads((tmp_path / "model" / "model.json").read_text())["decoding"]["beam_size"] == 1
