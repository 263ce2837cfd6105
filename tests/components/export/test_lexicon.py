"""The tokens of a shortlist, and models with one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import ExportedModel
from seqline.components.export import lexicon, stage
from seqline.components.export.options import DecodingOptions
from seqline.modeling.config import TransformerConfig
from seqline.saved_models import load_signatures
from tests.components.train.shards import empty_corpus, write_tokens

SIZE, EOS, EXCLUDED = 300, 3, [0, 1, 2]
CONFIG = TransformerConfig(vocabulary_size=SIZE)
ARTICLES = [290, 291]
"""Tokens that all targets have; a source token n is translated as n + 100."""


@pytest.fixture
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    chooser = np.random.default_rng(1)
    sources = [chooser.choice(np.arange(4, 104), chooser.integers(2, 7), replace=False) for _ in range(600)]
    return [(source, np.concatenate([ARTICLES, source[::-1] + 100])) for source in sources]


@pytest.fixture
def translations(tmp_path: Path, pairs: list[Any], monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(lexicon, "FREQUENT", 3)
    monkeypatch.setattr(lexicon, "LINKED", 2)
    folder = empty_corpus(tmp_path / "corpus")
    write_tokens(folder, "train", pairs[:250], pairs[250:])
    return Corpus(folder)


def test_a_token_is_linked_to_its_translation_and_to_nothing_frequent_or_excluded(translations: Corpus) -> None:
    found = lexicon.make_lexicon(translations, CONFIG)
    assert found.frequent.tolist() == [EOS, *ARTICLES]
    assert found.linked.shape == (SIZE, 2)
    translated = [token + 100 in found.linked[token] for token in range(4, 104)]
    assert all(translated)
    assert not np.isin(found.linked, [*EXCLUDED, EOS, *ARTICLES]).any()
    # A token that no source has, and what is left of a row.
    assert (found.linked[200] == SIZE).all()
    assert found.linked.max() == SIZE


@pytest.mark.parametrize(("name", "value", "expected"), [("PAIRS", 300, 300), ("LINKS", 2000, None)])
def test_no_more_of_the_corpus_is_read_than_is_needed(
    translations: Corpus, pairs: list[Any], name: str, value: int, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicon, name, value)
    (source_pairs, sources), (target_pairs, targets), number = lexicon.read_tokens(translations)
    links = np.cumsum([len(source) * len(target) for source, target in pairs])
    assert number == (expected or int(np.searchsorted(links, value)))
    assert sources.tolist() == [token for source, _ in pairs[:number] for token in source]
    assert targets.tolist() == [token for _, target in pairs[:number] for token in target]
    assert source_pairs[-1] == target_pairs[-1] == number - 1


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"architecture": "gpt", "encoder_layers": 0}, "the source of a gpt is a part of its output"),
        ({"pointer": True}, "a pointer copies any token"),
        ({"vocabulary_size": 3999}, "the vocabulary has fewer than 4,000 tokens"),
        ({}, ""),
    ],
)
def test_a_model_that_cannot_have_a_shortlist_is_exported_without_one(
    shape: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = TransformerConfig(**{"vocabulary_size": 4000, **shape})
    with caplog.at_level("INFO"):
        assert stage.has_shortlist(config) == (not reason)
    assert reason in caplog.text


def test_a_model_with_a_shortlist_searches_in_it_unless_a_request_has_parameters(
    checkpoint: Path, corpus: Path, exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "SMALLEST_VOCABULARY", 1)
    monkeypatch.setattr(lexicon, "FREQUENT", 12)
    monkeypatch.setattr(lexicon, "LINKED", 3)
    model, options = tmp_path / "model", DecodingOptions(beam_size=2, max_output_length=16, shortlist=True)
    stage.export(checkpoint, corpus, model, options)
    description, before = (ExportedModel(folder).read_description() for folder in (model, exported_model))
    assert description.decoding
    assert description.decoding.shortlist
    assert description.fingerprint != before.fingerprint
    signatures, whole = load_signatures(model), load_signatures(exported_model)
    config = TransformerConfig.from_dict(Checkpoint(checkpoint).read_config().model)
    listed = lexicon.make_lexicon(Corpus(corpus), config)
    source = [30, 41, 52, config.eos_id]
    found = signatures["ids"](ids=tf.constant([source]))["ids"].numpy()[0]
    assert set(found.tolist()) <= {*listed.frequent.tolist(), *listed.linked[source].ravel().tolist()}
    texts = tf.constant([pair["source"] for pair in Corpus(corpus).read_text("valid", 8)])
    search = {"beam_size": 2, "n_best": 1, "max_output_length": 16, "min_output_length": 0, "no_repeat_ngram_size": 0}
    sampling = {"sampling": False, "top_k": 0, "seed": 0}
    shares = {"length_penalty": 0.6, "repetition_penalty": 1.0, "temperature": 1.0, "top_p": 1.0}
    values = {name: tf.constant(value) for name, value in {**search, **sampling, **shares}.items()}
    one, other = (made["parameters"](text=texts, **values)["text"].numpy() for made in (signatures, whole))
    np.testing.assert_array_equal(one, other)
