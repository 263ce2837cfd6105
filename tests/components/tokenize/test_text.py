"""The one normalization: in Python before training, in the tokenizer everywhere else."""

import re
import sys
import unicodedata
from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.text import clean_column, folded_column
from seqline.components.tokenize.vocabulary import load, train_tokenizer
from seqline.normalization import clean
from tests.examples import examples

TEXTS = ["ein Haus", "zwei Häuser", "Ωmega 42 éàü", "한국어 漢字 m² ½ …"] * 20


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  two   words ", "two words"),
        ("a\tb\r\nc\x00d\x7fe", "a b c d e"),
        ("a\u00a0b\u202fc\u2009d\u3000e\u2028f\x85g", "a b c d e f g"),
        ("\ufeffz\u200bero\u2060width", "zerowidth"),
        ("Ma\u0308rz e\u200b\u0301", "März é"),
        ("m² ½ … ① \uff0c", "m² ½ … ① \uff0c"),
        ("می\u200cروم", "می\u200cروم"),
        (" \u200b\t", ""),
    ],
)
def test_spaces_and_forms_are_normalized_and_letters_stay(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(st.text())
def test_clean_text_is_in_nfc_on_one_line_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set(cleaned) & set("\t\n\r\x00")
    assert cleaned == cleaned.strip()


@pytest.fixture(scope="module")
def model() -> bytes:
    return train_tokenizer(TEXTS, Options(vocabulary_size=400, character_coverage=1.0))


letters = st.characters(codec="utf-8", exclude_categories=["Mn", "Mc", "Me", "Cn", "Cs"])
composed = st.text(letters, max_size=20)


@given(text=st.one_of(composed, composed.map(lambda text: unicodedata.normalize("NFD", text))))
def test_the_tokenizer_normalizes_raw_text_as_cleaning_does(model: bytes, text: str) -> None:
    # U+0000 ends a text for SentencePiece, and nobody types it.
    text = text.replace("\x00", "")
    assert load(model).encode(text) == load(model).encode(clean(text))


def spellings(text: str) -> set[str]:
    """The canonically equivalent spellings of a letter with marks: in any order, and partly composed."""
    letter, *marks = unicodedata.normalize("NFD", text)
    orders = (
        {letter + "".join(order) for order in permutations(marks)} if len(marks) <= 4 else {letter + "".join(marks)}
    )
    partly = {unicodedata.normalize("NFC", one[:end]) + one[end:] for one in orders for end in range(1, len(one) + 1)}
    same = unicodedata.normalize("NFC", text)
    return {text, *(one for one in orders | partly if unicodedata.normalize("NFC", one) == same)}


def test_the_tokenizer_composes_every_spelling_of_every_character_of_unicode(model: bytes) -> None:
    normalize, found = load(model).normalize, 0
    for code in range(sys.maxunicode + 1):
        if unicodedata.normalize("NFD", chr(code)) != chr(code):
            found += 1
            assert {normalize(text).lstrip("▁") for text in spellings(chr(code))} == {clean(chr(code))}
    assert found > 13_000


@pytest.mark.parametrize(
    "text",
    [
        "Vi\u1ec7t m\u1ed9t c\u1eadu \u0111\u1eb7t",
        "\u0639\u0645\u064e\u0651\u0629 \u0648\u064f\u0651\u0654 \u0622\u064b",  # Arabic: vowels, shadda, hamza
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9 \u05e9\u05b8\u05bc\u05c1 \u05d4\u05b7\u05bd",  # Hebrew: points
        "\u0915\u093c\u094d\u0930 \u0928\u093c\u094d \u095b",  # Hindi: nukta and virama
        "\ud55c\uad6d\uc5b4",
        "\u1eb9\u0301 \u1ecd\u0300 b\u0323\u0301 \u0105\u0301 \u0101\u0331",  # Yoruba, Lithuanian and others
        "\u0e19\u0e39\u0e48 \u0e99\u0eb9\u0ec9",  # Thai and Lao: vowel below and tone
        "\u1780\u17d2\u17dd \u1004\u103a\u1037",  # Khmer and Burmese
    ],
)
def test_letters_with_several_marks_have_the_same_tokens_in_every_spelling(model: bytes, text: str) -> None:
    normalize = load(model).normalize
    for letter in re.findall(r"\S[^\w\s]*", clean(text)):
        assert {normalize(spelling) for spelling in spellings(letter)} == {f"▁{letter}"}


@given(text=composed)
def test_decoding_reverses_encoding(model: bytes, text: str) -> None:
    assert load(model).decode(load(model).encode(clean(text))) == clean(text)


@examples(60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_a_column_is_cleaned_as_its_texts_are(texts: list[str]) -> None:
    assert clean_column(pa.array(texts, pa.string())).to_pylist() == [clean(text) for text in texts]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A house, here.", "a house here", True),
        ("„Hallo“, Welt!", '"hallo" welt', True),
        ("1.5 km", "15 km", False),
        ("1.5 km", "1,5 km", True),
        ("कि", "क", False),
        ("...", "!", False),
        ("schon", "schön", False),
    ],
)
def test_near_duplicates_fold_to_the_same(one: str, other: str, same: bool) -> None:
    first, second = folded_column(pa.array([one, other]))
    assert (first == second) is same


@examples(60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])).map(clean), max_size=8))
def test_folding_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    alone = [folded_column(pa.array([text], pa.string()))[0] for text in texts]
    assert (folded_column(pa.array(texts, pa.string())) if texts else []) == alone
