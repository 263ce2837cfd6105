"""Exact match and token F1 of answers, as SQuAD 1.1 defines them (Rajpurkar et al. 2016)."""

import re
import string
from collections import Counter

from seqline.metrics.counters import Mean
from seqline.metrics.words import WordByWord

ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
PUNCTUATION = str.maketrans("", "", string.punctuation)
SIGNATURE = "percent|mean|squad-1.1: lower case, no punctuation, no English articles"


def _words(text: str) -> list[str]:
    """The words of an answer, as both figures compare them: lower case, no ASCII punctuation, no English articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


WORDS = WordByWord(_words)


def exact_match(language: str) -> Mean:
    """Outputs that have their reference's words in the same order."""
    return Mean(
        SIGNATURE, lambda batch: [ours == theirs for ours, theirs in zip(*batch.tokens(WORDS), strict=True)], 100
    )


def token_f1(language: str) -> Mean:
    """F1 of the words that output and reference share."""
    return Mean(SIGNATURE, lambda batch: [_f1(*pair) for pair in zip(*batch.tokens(WORDS), strict=True)], 100)


def _f1(output: list[str], reference: list[str]) -> float:
    if output == reference:
        return float(bool(output))  # the official script: no word in common is 0, also where there are no words
    same = sum((Counter(output) & Counter(reference)).values())
    return 2 * same / (len(output) + len(reference)) if same else 0.0
