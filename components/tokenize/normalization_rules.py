"""The normalization of `seqline.normalization` as the table inside a SentencePiece model.

It is for callers that run the tokenizer themselves. The exported graph normalizes the text before.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import permutations

from seqline.normalization import UNICODE_END, replacements

MOST_MARKS = 4  # of one letter: more have too many orders
MOST_CLUSTERS = 10_000


def sentencepiece_rules(texts: Iterable[str] = ()) -> str:
    """Returns SentencePiece's table: "hexadecimal code points TAB their replacement" a line.

    A table replaces sequences that it lists, and cannot sort marks in general. It has all spellings of each character
    that Unicode composes, and of each letter with several marks in the texts that the tokenizer learns from.

    Args:
        texts: Cleaned texts.
    """
    rules = dict(_rules_of_characters())
    for cluster in _clusters(texts):
        rules |= _spellings(cluster)
    return "".join(f"{_hexadecimal(text)}\t{_hexadecimal(to)}\n" for text, to in sorted(rules.items()))


@lru_cache(maxsize=1)
def _rules_of_characters() -> dict[str, str]:
    rules = {chr(code): replacement for code, replacement in replacements().items() if code}
    for code in range(UNICODE_END):
        char = chr(code)
        composed, decomposed = unicodedata.normalize("NFC", char), unicodedata.normalize("NFD", char)
        if decomposed == char:
            continue
        if composed != char:
            rules.setdefault(char, composed)
        rules |= _spellings(decomposed)
        for first in range(1, len(decomposed)):
            # Partly composed forms: LV and T of Hangul, and vowel signs of two parts.
            left, right = (unicodedata.normalize("NFC", part) for part in (decomposed[:first], decomposed[first:]))
            if left + right != composed:
                rules[left + right] = composed
    return rules


def _clusters(texts: Iterable[str]) -> Iterator[str]:
    """Yields the letters with marks in texts, the most frequent ones if there are too many."""
    counts: Counter[str] = Counter()
    for text in texts:
        if not text.isascii():
            counts.update(_cluster().findall(text))
    for cluster, _ in counts.most_common(MOST_CLUSTERS):
        yield unicodedata.normalize("NFD", cluster)


@lru_cache(maxsize=1)
def _cluster() -> "re.Pattern[str]":
    marks = "".join(re.escape(chr(code)) for code in range(UNICODE_END) if unicodedata.combining(chr(code)))
    return re.compile(f"[^{marks}][{marks}]+")


def _spellings(decomposed: str) -> dict[str, str]:
    """The spellings of a letter with marks that are not in NFC, each with the one that is.

    Marks of different classes may be in any order, and the first ones may be composed with the letter.

    Args:
        decomposed: The letter with its marks, in NFD.
    """
    letter, marks = decomposed[0], decomposed[1:]
    composed = unicodedata.normalize("NFC", decomposed)
    found = {decomposed: composed}
    if len(marks) <= MOST_MARKS and all(map(unicodedata.combining, marks)):
        for order in map("".join, set(permutations(marks))):
            if unicodedata.normalize("NFD", letter + order) == decomposed:
                starts = (unicodedata.normalize("NFC", letter + order[:first]) for first in range(len(order) + 1))
                found |= {start + order[first:]: composed for first, start in enumerate(starts) if len(start) == 1}
    return {text: to for text, to in found.items() if text != to}


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)
