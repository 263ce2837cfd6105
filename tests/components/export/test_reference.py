"""reference.json: what live traffic of a model is compared with."""

import json
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from seqline.artifacts.corpus import Corpus, Counts, Manifest
from seqline.artifacts.reference import REFERENCE, SOURCES, TOKEN_BUCKETS, Reference, Sources
from seqline.components.export.reference import values_of, write_reference
from seqline.components.tokenize.identified import identified
from seqline.metrics.surprise import surprise

TEXTS = [f"number {number} of {number % 7} cats in house {number % 11}" for number in range(400)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus as tokenize writes it, with held-out texts alone."""
    made = Corpus(tmp_path_factory.mktemp("corpus"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(made.path / "tokenizer"), vocab_size=300, byte_fallback=True,
        hard_vocab_limit=False, minloglevel=2, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
    )  # fmt: skip
    Manifest("c" * 64, {}, Counts(400, 400, {}, 0, 200, 200), [], 300, "en", "de").write(made.manifest)
    for split, texts in (("valid", TEXTS[::2]), ("test", TEXTS[1::2])):
        lines = (json.dumps({"source": text, "target": text}) + "\n" for text in texts)
        made.text(split).write_text("".join(lines))  # type: ignore[arg-type]
    shares = np.full(TOKEN_BUCKETS, 1 / TOKEN_BUCKETS).tolist()
    Sources(shares, 0.0, {7: 1}, {8: 1}, 500).write(made.path / SOURCES)
    return made


def test_the_reference_knows_which_texts_are_unlike_the_held_out_ones(corpus: Corpus, tmp_path: Path) -> None:
    assert write_reference(tmp_path, corpus, corpus.tokenizer.read_bytes())
    found = Reference.read(tmp_path / REFERENCE)
    assert found.sources == Sources.read(corpus.path / SOURCES)
    assert (found.corpus_fingerprint, found.source_language, found.held_out) == ("c" * 64, "en", 400)
    encoded = sentencepiece.SentencePieceProcessor(model_file=str(corpus.tokenizer)).encode(TEXTS)
    assert found.surprise == pytest.approx(
        np.quantile(surprise(values_of(encoded), np.array(found.sources.tokens)), 0.99)
    )
    assert found.unusual <= 0.01


def test_a_corpus_of_an_earlier_seqline_or_of_another_tokenizer_has_no_reference(
    corpus: Corpus, tmp_path: Path
) -> None:
    assert not write_reference(tmp_path, corpus, b"another tokenizer")
    (tmp_path / "corpus").mkdir()
    assert not write_reference(tmp_path, Corpus(tmp_path / "corpus"), corpus.tokenizer.read_bytes())
    assert not (tmp_path / REFERENCE).exists()


def test_scripts_and_languages_are_those_of_the_held_out_texts(tmp_path: Path) -> None:
    english = ["The old house stands at the end of the street."] * 200
    russian = ["Старый дом стоит в конце улицы."] * 50
    for split, texts in (("valid", english), ("test", [*english[:50], *russian])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"source": text}) + "\n" for text in texts))
    scripts, languages = identified(tmp_path)
    assert scripts == {"Cyrillic": pytest.approx(1 / 6, abs=1e-5), "Latin": pytest.approx(5 / 6, abs=1e-5)}
    assert languages["en"] > 0.8
    (tmp_path / "valid.jsonl").write_text("")
    assert identified(tmp_path)[1] == {}
