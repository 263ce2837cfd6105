"""Imported checkpoints, exported: the SavedModel gives the outputs of transformers."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Decoding
from seqline.artifacts.text_tokenizer import MODEL, TextTokenizer, encoded
from seqline.components.export.executor import in_one_thread
from seqline.components.export.loops import prepare_loops
from seqline.components.export.program import Program
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import padded
from seqline.pretrained.checkpoint import read_pretrained
from seqline.pretrained.loading import build_model, write_checkpoint
from seqline.tokenizers.host import HostTokenizer
from tests import pretrained_checkpoints as checkpoints
from tests.nightly import NIGHTLY

FAMILY = "t5_v1_1"
# One with an encoder and one without. `test_parity` compares the same outputs of every family without an export.
EVERY_TIME = ("marian", "llama3")
EXPECTED, LONGEST = Path(__file__).parent / "expected", 24
# As in `make_expected`.
SEARCHES = {
    "greedy": Search(beam_size=1, max_output_length=LONGEST, length_penalty=0.0),
    "beam": Search(beam_size=4, n_best=4, max_output_length=LONGEST, length_penalty=1.0),
}


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
    options = DecodingOptions(beam_size=1, length_penalty=0.0, max_output_length=LONGEST)
    export(tmp_path / "checkpoint", texts.path, tmp_path / "model", options)

    expected = np.load(EXPECTED / f"{FAMILY}.npz")
    drawn = checkpoints.inputs(FAMILY, 500)
    rows = padded([drawn[number] for number in expected["chosen"]], 0)
    found = tf.saved_model.load(str(tmp_path / "model")).signatures["ids"](ids=tf.constant(rows))["ids"].numpy()
    # After the end, ours are padded with 0 and those of transformers with -1.
    np.testing.assert_array_equal(found, np.maximum(expected["greedy"], 0)[:, : found.shape[1]])
    assert json.loads((tmp_path / "model" / "model.json").read_text())["decoding"]["beam_size"] == 1


def record_of(model: bytes, config: TransformerConfig) -> TextTokenizer:
    """A tokenizer whose special tokens are those of a checkpoint."""
    special = {
        config.eos_id,
        *config.suppressed_ids,
        *(one for one in (config.pad_id, config.bos_id) if one is not None),
    }
    begin = -1 if config.bos_id is None else config.bos_id
    files, size, pad = {MODEL: encoded(model)}, config.vocabulary_size, config.pad_id or config.eos_id
    return TextTokenizer("sentencepiece", files, size, pad, -1, begin, config.eos_id, sorted(special))


def texts_of(program: Program, options: Search, ids: Any) -> dict[str, Any]:
    """Tokens to text, with search options that the export's own signatures have for texts only."""
    with program.decoder.unpacked():
        found = search(program.decoder, ids, options)
    return {"text": program.decode(found.ids[:, 0])}


@pytest.mark.e2e(seconds=15)
@pytest.mark.parametrize("family", [one for one in checkpoints.PARITY if NIGHTLY or one in EVERY_TIME])
def test_exported_programs_write_the_texts_of_transformers(family: str, corpus: Path, tmp_path: Path) -> None:
    sentences = [pair[side] for pair in Corpus(corpus).read_text("valid") for side in ("source", "target")]
    model = build_model(read_pretrained(checkpoints.write(tmp_path / family, family)))
    record = record_of(tokenizer_of(sentences, tmp_path / "spiece.model").read_bytes(), model.config)
    (tmp_path / "tokenizer.json").write_bytes(record.to_bytes())
    program = Program(model, tmp_path / "tokenizer.json", Decoding(1, 0.0, 64, LONGEST))
    ids = tf.TensorSpec((None, None), tf.int32, "ids")
    signatures = {
        name: in_one_thread(partial(texts_of, program, options)).get_concrete_function(ids=ids)
        for name, options in SEARCHES.items()
    }
    tf.saved_model.save(program, str(tmp_path / "model"), signatures=signatures)
    prepare_loops(tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))

    expected, drawn = np.load(EXPECTED / f"{family}.npz"), checkpoints.inputs(family, 500)
    rows = tf.constant(padded([drawn[number] for number in expected["chosen"]], model.config.padding))
    assert len(rows) == 200
    for name in SEARCHES:
        found = [text.decode() for text in loaded.signatures[name](ids=rows)["text"].numpy()]
        outputs = [[id_ for id_ in row if id_ >= 0] for row in expected[name].tolist()]
        assert found == HostTokenizer(record).decode(outputs)
        assert len(set(found)) > 20
