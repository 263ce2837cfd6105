"""The exported signatures agree with each other."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.exported_model import ExportedModel
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.seqline.decoding.reference import model_logits

TEXTS = ["red house", "", "two green trees and three blue houses"]
KINDS = {float: tf.float32, bool: tf.bool, int: tf.int32}
DEFAULTS = {name: value for name, value in Search(max_output_length=16)._asdict().items() if name != "early_stop"}


def call(model: Any, name: str, **inputs: Any) -> dict[str, np.ndarray]:
    """Calls a signature; its other parameters get their defaults."""
    signature = model.signatures[name]
    parameters = {key: value for key, value in DEFAULTS.items() if key in signature.structured_input_signature[1]}
    tensors = {
        key: tf.constant(value, KINDS[type(DEFAULTS[key])])
        for key, value in {**parameters, **inputs}.items()
        if key in DEFAULTS
    }
    tensors |= {key: tf.constant(value) for key, value in inputs.items() if key not in DEFAULTS}
    return {key: value.numpy() for key, value in signature(**tensors).items()}


def test_parameters_with_the_exported_options_equal_serving_default(loaded_model: Any) -> None:
    default = call(loaded_model, "serving_default", text=TEXTS)
    same = call(loaded_model, "parameters", text=TEXTS, beam_size=2)
    assert same["text"][:, 0].tolist() == default["text"].tolist()
    np.testing.assert_allclose(same["score"][:, 0], default["score"], atol=1e-4)


def test_equivalent_spellings_of_a_text_have_the_same_tokens(loaded_model: Any) -> None:
    spellings = [
        "Vi\u1ec7t \u0639\u064e\u0651",
        "Vie\u0302\u0323t \u0639\u0651\u064e",
        "Vi\u1eb9\u0302t\u3000\u0639\u0651\u064e\0",
    ]
    scored = call(loaded_model, "score", source=spellings, target=spellings)
    assert len(set(scored["tokens"].tolist())) == 1
    np.testing.assert_allclose(scored["log_probability"], scored["log_probability"][0], atol=1e-4)
    assert len(set(call(loaded_model, "serving_default", text=spellings)["text"].tolist())) == 1


def test_results_are_sorted_by_score(loaded_model: Any) -> None:
    outputs = call(loaded_model, "parameters", text=TEXTS, beam_size=3, n_best=3)
    assert outputs["text"].shape == (3, 3)
    assert (np.diff(outputs["score"], axis=1) <= 0).all()
    assert len(set(outputs["text"][0].tolist())) > 1


def test_a_score_is_the_trained_model_s_log_probability_of_the_tokens(checkpoint: Path, loaded_model: Any) -> None:
    from sentencepiece import SentencePieceProcessor

    trained = Checkpoint(checkpoint)
    model = make_model(TransformerConfig.from_dict(trained.read_config().model))
    model.load_weights(trained.weights)
    processor = SentencePieceProcessor(model_file=str(trained.tokenizer))
    logits_of, targets = model_logits(model), ["rotes Haus", "", "zwei grüne Bäume"]
    scored = call(loaded_model, "score", source=TEXTS, target=targets)
    for row, (source, target) in enumerate(zip(TEXTS, targets, strict=True)):
        next_logits = logits_of([*processor.encode(source), processor.eos_id()])
        tokens = [*processor.encode(target), processor.eos_id()]
        expected = 0.0
        for position, token in enumerate(tokens):
            (logits,) = next_logits(np.array([[processor.bos_id(), *tokens[:position]]], np.int32))
            expected += logits[token] - np.logaddexp.reduce(logits)
        assert scored["tokens"][row] == len(tokens)
        np.testing.assert_allclose(scored["log_probability"][row], expected, rtol=1e-3)


def test_the_score_of_no_pair_is_empty(loaded_model: Any) -> None:
    empty = call(loaded_model, "score", source=tf.zeros((0,), tf.string), target=tf.zeros((0,), tf.string))
    assert empty["tokens"].shape == empty["log_probability"].shape == (0,)


def test_the_score_of_a_pair_does_not_depend_on_its_batch(loaded_model: Any) -> None:
    targets = ["rotes Haus", "", "zwei Bäume " * 20]
    together = call(loaded_model, "score", source=TEXTS, target=targets)
    for number, (source, target) in enumerate(zip(TEXTS, targets, strict=True)):
        alone = call(loaded_model, "score", source=[source], target=[target])
        np.testing.assert_allclose(together["log_probability"][number], alone["log_probability"][0], rtol=1e-4)
        assert together["tokens"][number] == alone["tokens"][0]
    assert together["cut"].tolist() == [False, False, True]


def test_tokens_to_tokens_is_text_to_text_without_the_tokenizer(checkpoint: Path, loaded_model: Any) -> None:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(Checkpoint(checkpoint).tokenizer))
    rows = [[*processor.encode(text), processor.eos_id()] for text in TEXTS]
    padded = tf.ragged.constant(rows, dtype=tf.int32).to_tensor(0)
    found = call(loaded_model, "ids", ids=padded)
    special = {processor.eos_id(), 0}
    texts = [processor.decode([int(token) for token in ids if token not in special]) for ids in found["ids"]]
    assert texts == [text.decode() for text in call(loaded_model, "serving_default", text=TEXTS)["text"]]


@pytest.mark.parametrize("parameters", [{}, {"sampling": True, "seed": 3}, {"no_repeat_ngram_size": 2}])
def test_a_stream_ends_with_the_output_of_one_call(loaded_model: Any, parameters: dict[str, Any]) -> None:
    at_once = call(loaded_model, "parameters", text=TEXTS, beam_size=1, length_penalty=0.0, **parameters)
    state = call(loaded_model, "stream_start", text=TEXTS)
    assert not state.pop("cut").any()
    assert state.pop("input_tokens").tolist() == at_once["input_tokens"].tolist()
    texts: list[list[bytes]] = []
    while not state["done"].all():
        outputs = call(loaded_model, "stream_next", pieces=3, **state, **parameters)
        texts.append(outputs.pop("text").tolist())
        finished = outputs.pop("finished")
        state.update(outputs)
    assert texts[-1] == at_once["text"][:, 0].tolist()
    assert finished.tolist() == at_once["finished"][:, 0].tolist()
    assert len(texts) > 1
    np.testing.assert_allclose(state["log_probability"], at_once["score"][:, 0], atol=1e-3)


def test_a_truncated_input_is_flagged(exported_model: Path, loaded_model: Any) -> None:
    limit = ExportedModel(exported_model).read_description().decoding.max_input_length
    outputs = call(loaded_model, "serving_default", text=["red", "☃ " * limit])
    assert outputs["cut"].tolist() == [False, True]


def test_every_input_and_output_is_described(exported_model: Path, loaded_model: Any) -> None:
    described = (exported_model / "signatures.md").read_text(encoding="utf-8")
    assert set(loaded_model.signatures) == {
        "serving_default", "parameters", "score", "ids", "stream_start", "stream_next"
    }  # fmt: skip
    for name, signature in loaded_model.signatures.items():
        section = described.partition(f"## `{name}`")[2].partition("\n## ")[0]
        for key, tensor in {**signature.structured_input_signature[1], **signature.structured_outputs}.items():
            assert f"`{key}` | {tensor.dtype.name}" in section


def spellings() -> dict[str, str]:
    """Letters with marks, by their spellings with no mark composed and with all but the last."""
    found = {}
    for char in map(chr, range(0x30000)):
        first, _, rest = unicodedata.decomposition(char).partition(" ")
        if rest and not first.startswith("<") and unicodedata.normalize("NFC", char) == char:
            found["".join(chr(int(code, 16)) for code in (first, *rest.split()))] = char
            found[unicodedata.normalize("NFD", char)] = char
    return found


def test_combining_marks_are_composed_before_the_text_is_encoded(loaded_small_model: Any) -> None:
    others = spellings()
    assert others["U\u0308\u0304"] == others["Ü\u0304"] == "Ǖ"
    loose, composed = (
        call(loaded_small_model, "score", source=[TEXTS[0]] * len(texts), target=texts)
        for texts in (list(others), list(others.values()))
    )
    differing = [text for text, equal in zip(others, loose["tokens"] == composed["tokens"], strict=True) if not equal]
    assert differing == []
    np.testing.assert_allclose(loose["log_probability"], composed["log_probability"], rtol=1e-3)
