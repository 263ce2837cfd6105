"""Exact match and token F1 of answers.

English as in SQuAD 1.1 (Rajpurkar et al. 2016), other languages as in MLQA (Lewis et al. 2020): all punctuation of
Unicode is removed, articles are those of the language, and in scripts without spaces each character is a token.
"""

import re
import string
import sys
import unicodedata
from collections import Counter
from functools import lru_cache

from seqline.languages import language_of
from seqline.metrics.batch import Split
from seqline.metrics.counters import Mean
from seqline.metrics.segments import SEGMENT
from seqline.metrics.words import WordByWord

ENGLISH_ARTICLES = r"\b(a|an|the)\b"
# Those of MLQA's script.
ARTICLES = {
    "ar": r"\sال^|ال",  # noqa: RUF001
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
}
ENGLISH_SIGNATURE = "percent|mean|squad-1.1: lower case, no punctuation, no English articles"


def exact_match(language: str) -> Mean:
    """Share of outputs with the same words as the reference in the same order."""
    words, signature = _tokenizer(language_of(language).code)
    return Mean(
        signature, lambda batch: [ours == theirs for ours, theirs in zip(*batch.tokens(words), strict=True)], 100
    )


def token_f1(language: str) -> Mean:
    """Mean F1 of the words of output and reference."""
    words, signature = _tokenizer(language_of(language).code)
    return Mean(signature, lambda batch: [_f1(*pair) for pair in zip(*batch.tokens(words), strict=True)], 100)


@lru_cache(maxsize=8)
def _tokenizer(language: str) -> tuple[Split, str]:
    """Returns the tokenizer for a language, one object for all metrics, and its signature.

    Args:
        language: Code of the macro-language, without script and region.
    """
    if language == "en":
        articles, removed = re.compile(ENGLISH_ARTICLES), str.maketrans("", "", string.punctuation)
        return WordByWord(lambda text: articles.sub(" ", text.lower().translate(removed)).split()), ENGLISH_SIGNATURE
    articles = re.compile(ARTICLES.get(language, r"(?!)"))
    without = f"{language} articles" if language in ARTICLES else "articles"

    def words(text: str) -> list[str]:
        bare = articles.sub(" ", text.lower().translate(_punctuation()))
        return [token for word in bare.split() for token in SEGMENT.findall(word)]

    signature = f"percent|mean|mlqa: lower case, no punctuation, no {without}, characters where words have no spaces"
    return WordByWord(words), signature


@lru_cache(maxsize=1)
def _punctuation() -> dict[int, None]:
    codes = (code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("P"))
    return dict.fromkeys([*codes, *map(ord, string.punctuation)])


def _f1(output: list[str], reference: list[str]) -> float:
    if output == reference:
        return float(bool(output))  # as in the official script: two empty answers have no word in common
    same = sum((Counter(output) & Counter(reference)).values())
    return 2 * same / (len(output) + len(reference)) if same else 0.0
