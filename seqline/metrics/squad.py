"""Exact match and token F1 of answers as in SQuAD 1.1 (Rajpurkar et al. 2016)."""

import re
import string
from collections import Counter

from seqline.metrics.counters import Mean
from seqline.metrics.words import WordByWord

ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
PUNCTUATION = str.maketrans("", "", string.punctuation)
SIGNATURE = "percent|mean|squad-1.1: lower case, no punctuation, no English articles"


def _words(text: str) -> list[str]:
    """Returns the normalized words of an answer: lower case, no ASCII punctuation, no English articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


WORDS = WordByWord(_words)


def exact_match(language: str) -> Mean:
    """Share of outputs with the same words as the reference in the same order."""
    return Mean(
        SIGNATURE, lambda batch: [ours == theirs for ours, theirs in zip(*batch.tokens(WORDS), strict=True)], 100
    )


def token_f1(language: str) -> Mean:
    """Mean F1 of the words of output and reference."""
    return Mean(SIGNATURE, lambda batch: [_f1(*pair) for pair in zip(*batch.tokens(WORDS), strict=True)], 100)


def _f1(output: list[str], reference: list[str]) -> float:
    if output == reference:
        return float(bool(output))  # as in the official script: two empty answers have no word in common
    same = sum((Counter(output) & Counter(reference)).values())
    return 2 * same / (len(output) + len(reference)) if same else 0.0
