"""Encoding word by word gives the same tokens as encoding the whole text."""

import io
from functools import lru_cache

import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.components.tokenize import encoder
from seqline.components.tokenize.encoder import Encoder
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.vocabulary import load, train_tokenizer
from seqline.normalization import clean

TEXTS = ["a man in an orange hat is staring at something", "ein Mann mit einem orangefarbenen Hut, der etwas anstarrt"]
WORDS = [
    "a",
    "man",
    "an",
    "orange",
    "orangefarbenen",
    "Hut",
    "hat,",
    "staring",
    "(etwas)",
    "▁",
    "x▁y",
    "naïve",
    "漢字",
    "12.5",
    "…",
]


@lru_cache
def model(kind: str = "unigram") -> bytes:
    return train_tokenizer(TEXTS * 20, Options(model_type=kind, vocabulary_size=330, character_coverage=1.0))


def encoded(encoding: Encoder, texts: list[str]) -> list[list[int]]:
    found = encoding.encode_targets(pa.array(texts, pa.string()))
    return [found.ids[end - length : end].tolist() for end, length in zip(found.ends, found.lengths, strict=True)]


@settings(deadline=None)
@given(batches=st.lists(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=5), max_size=4))
def test_known_words_are_encoded_as_whole_texts_are(batches: list[list[str]]) -> None:
    encoding = Encoder(model("bpe"))
    for texts in batches:
        assert encoded(encoding, texts) == load(model("bpe")).encode(texts)


@settings(deadline=None)
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(clean), max_size=6))
def test_any_text_is_encoded_as_well_as_the_model_does(kind: str, texts: list[str]) -> None:
    processor = load(model(kind))
    for ours, theirs in zip(encoded(Encoder(model(kind)), texts), processor.encode(texts), strict=True):
        assert processor.decode(ours) == processor.decode(theirs)
        # Of two segmentations with equal scores, either may be found.
        scores = [sum(map(processor.get_score, ids)) for ids in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_more_words_than_the_cache_holds_are_encoded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_MOST_WORDS", 10)
    encoding = Encoder(model("bpe"))
    for text in (*TEXTS, *TEXTS, "", " ".join(WORDS)):
        assert encoded(encoding, [text, TEXTS[0]]) == load(model("bpe")).encode([text, TEXTS[0]])


def test_a_model_whose_tokens_span_spaces_encodes_whole_texts() -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["as well as can be"] * 50 + TEXTS), model_writer=written, vocab_size=80,
        model_type="bpe", split_by_whitespace=False, minloglevel=2,
    )  # fmt: skip
    encoding = Encoder(written.getvalue())
    assert not encoding.by_word
    assert encoded(encoding, ["as well as can be"]) == load(written.getvalue()).encode(["as well as can be"])
