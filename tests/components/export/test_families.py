"""The program of each family of checkpoints: text to text, equal to the trained model's own decoding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Decoding
from seqline.components.export.agreement import check_agreement
from seqline.components.export.program import SAMPLING, SEARCHING, Program
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.families import LLAMA, MARIAN, T5

TEXTS = ["two trees", "one red house and three rivers"]
# The corpus's tokenizer has its own special tokens: padding 0, unknown 1, begin 2, end 3.
SPECIAL = {"unk_id": 1, "eos_id": 3}
FAMILIES = {
    "t5": {**T5, **SPECIAL, "suppressed_ids": [5, 6]},
    "marian": {**MARIAN, **SPECIAL},
    "pointer": {"pointer": True, "suppressed_ids": [0, 1, 2]},
    "llama": {**LLAMA, **SPECIAL, "bos_id": 2, "pad_id": 3, "other_eos_ids": [4, 9]},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_program_decodes_as_the_trained_model_does(corpus: Path, family: str) -> None:
    vocabulary = Corpus(corpus).read_manifest().vocabulary_size
    choices: dict[str, Any] = {"num_heads": 2, **FAMILIES[family]}
    if family == "marian":  # its padding token is the last one, and starts every output
        choices.update(pad_id=vocabulary - 1, start_id=vocabulary - 1, suppressed_ids=[vocabulary - 1])
    shape = {"encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 16, "intermediate_dim": 16}
    tf.keras.utils.set_random_seed(5)
    model = make_model(TransformerConfig(**{"vocabulary_size": vocabulary, **shape, **choices}))
    decoding = Decoding(beam_size=2, max_input_length=24, max_output_length=12)
    program = Program(model, Corpus(corpus).tokenizer, decoding)
    check_agreement(model, program, program.serve_with_parameters, TEXTS)

    # A stream gives greedy search's texts, and scores agree, though a prompt's last token starts the output.
    options = {name: tf.constant(getattr(Search.of(decoding), name), kind) for name, kind in SAMPLING.items()}
    searching = {name: tf.constant(1, kind) for name, kind in SEARCHING.items()}
    greedy = program.serve_with_parameters(tf.constant(TEXTS), **options, **{**searching, "length_penalty": 0.0})
    state = program.start(tf.constant(TEXTS))
    state.pop("cut")
    assert state.pop("input_tokens").numpy().tolist() == greedy["input_tokens"].numpy().tolist()
    state.update(program.proceed(tf.constant(12), **state, **options))
    assert state["finished"].numpy().tolist() == greedy["finished"].numpy()[:, 0].tolist()
    assert state["text"].numpy().tolist() == greedy["text"].numpy()[:, 0].tolist()
    np.testing.assert_allclose(state["log_probability"], greedy["score"][:, 0], atol=1e-3)
    for token in model.config.suppressed_ids:
        assert not (state["ids"][:, 1:] == token).numpy().any()
