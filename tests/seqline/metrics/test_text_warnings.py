"""A test set that the metrics measure wrongly is reported."""

import pytest

from seqline.artifacts.evaluation import Slice
from seqline.metrics.test_set import Row
from seqline.metrics.text_warnings import term_warnings, text_warnings


def warnings(references: list[str], language: str) -> list[str]:
    return text_warnings([Row("source", reference) for reference in references], language)


def test_tokenized_references_are_reported_from_a_hundred_on_or_half_of_a_small_set() -> None:
    tokenized, plain = "Der Hund schläft .", "Der Hund schläft."
    (warning,) = warnings([tokenized] * 100 + [plain] * 900, "de")
    assert warning.startswith("100 of 1000 references end in a tokenized period (' .')")
    assert warnings([tokenized] * 99 + [plain] * 900, "de") == []
    assert len(warnings([tokenized] * 12 + [plain] * 2, "de")) == 1
    assert warnings([tokenized] * 3, "de") == []
    assert len(warnings(["他 在 花园 里 。"] * 20, "zh")) == 1


def test_escapes_of_the_moses_tokenizer_are_reported() -> None:
    (warning,) = text_warnings([Row("it &apos;s", "es ist"), Row("a", "b")], "de")
    assert "1 of 2 test pairs have escapes of the Moses tokenizer" in warning


@pytest.mark.parametrize(
    ("reference", "language", "expected"),
    [
        ("बगीचे में कुत्ता", "en", ["only 0% of the letters", "1 of 1 references have no word for ROUGE"]),
        ("Собака спит", "en", ["only 0% of the letters", "1 of 1 references have no word for ROUGE"]),
        ("他在花园里", "de", ["only 0% of the letters"]),
        ("他在花园里", "und", ["script without spaces between words"]),
        ("나는 학교에 간다", "ja", ["only 0% of the letters"]),
        ("Pas spava", "sr_Cyrl", ["only 0% of the letters"]),
    ],
)
def test_references_in_another_script_are_reported(reference: str, language: str, expected: list[str]) -> None:
    for warning, text in zip(warnings([reference], language), expected, strict=True):
        assert text in warning


@pytest.mark.parametrize(
    ("reference", "language"),
    [
        ("The dog sleeps, 80 km.", "en"), ("बगीचे में कुत्ता", "hi"), ("他在花园里", "zho_Hans"), ("日本語の文です",
        "jpn_Jpan"),
        ("나는 학교에 간다", "ko"), ("سَلَام", "arb_Arab"), ("Pas spava", "sr"), ("123", "en"), ("print(x)", "und"),
        ("ภาษาไทย", "th"),
    ],
)  # fmt: skip
def test_ordinary_references_are_not(reference: str, language: str) -> None:
    assert warnings([reference], language) == []


def test_a_list_of_terms_without_a_sentence_is_reported() -> None:
    slices = [Slice("terms", "feminine", 0, {}), Slice("terms", "masculine", 3, {}), Slice("length", "longest", 0, {})]
    (warning,) = term_warnings(slices)
    assert "no test sentence contains a term of the list 'feminine'" in warning
