"""The normalization of `seqline.normalization` as the table inside a SentencePiece model.

It is for callers that run the tokenizer themselves. The exported graph normalizes the text before.
"""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, permutations

from seqline.normalization import UNICODE_END, replacements

# Marks that languages use together, more than one of them on a letter, and how many.
_LATIN = [*range(0x300, 0x305), *range(0x306, 0x309), *range(0x30A, 0x30D), 0x31B, 0x323, 0x324, 0x327, 0x328, 0x331]
_ARABIC = [*range(0x64B, 0x656), 0x670]
_HEBREW = [*range(0x5B0, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C7]
_TOGETHER = ((_LATIN, 2), (_ARABIC, 3), (_HEBREW, 3))
_BLOCK = 0x80  # characters; scripts begin at its multiples


@lru_cache(maxsize=1)
def sentencepiece_rules() -> str:
    """Returns SentencePiece's table: "hexadecimal code points TAB their replacement" a line.

    A table replaces sequences that it lists, and cannot sort marks in general. It has all spellings of each character
    that Unicode composes, all pairs of marks of a script, and the marks that languages use together.
    """
    rules = {chr(code): replacement for code, replacement in replacements().items() if code}
    composing: dict[str, set[str]] = {}  # by mark, the letters that it composes with
    for code in range(UNICODE_END):
        char = chr(code)
        composed, decomposed = unicodedata.normalize("NFC", char), unicodedata.normalize("NFD", char)
        if decomposed == char:
            continue
        if composed != char:
            rules.setdefault(char, composed)
        elif unicodedata.combining(decomposed[1]):
            for mark in decomposed[1:]:
                composing.setdefault(mark, set()).add(decomposed[0])
        rules |= _spellings(decomposed[0], decomposed[1:])
        for first in range(1, len(decomposed)):
            # Partly composed forms: LV and T of Hangul, and vowel signs of two parts.
            left, right = (unicodedata.normalize("NFC", part) for part in (decomposed[:first], decomposed[first:]))
            if left + right != composed:
                rules[left + right] = composed
    for marks in _runs_of_marks():
        for letter in {"", *(letter for mark in marks for letter in composing.get(mark, ()))}:
            rules |= _spellings(letter, marks)
    return "".join(f"{_hexadecimal(text)}\t{_hexadecimal(to)}\n" for text, to in sorted(rules.items()))


def _runs_of_marks() -> Iterator[str]:
    """Yields marks of different classes, in canonical order."""
    blocks: dict[int, list[int]] = {}
    for code in range(UNICODE_END):
        if unicodedata.combining(chr(code)):
            blocks.setdefault(code // _BLOCK, []).append(code)
    latin = 0x300 // _BLOCK
    groups = [*_TOGETHER, *((codes, 2) for block, codes in blocks.items() if block != latin)]
    for codes, most in groups:
        ordered = sorted(map(chr, codes), key=unicodedata.combining)
        for size in range(2, most + 1):
            for marks in combinations(ordered, size):
                if len(set(map(unicodedata.combining, marks))) == size:
                    yield "".join(marks)


def _spellings(letter: str, marks: str) -> dict[str, str]:
    """The spellings of a letter with marks that are not in NFC, each with the one that is.

    Marks of different classes may be in any order, and the first ones may be composed with the letter.

    Args:
        letter: The letter; empty for the marks alone.
        marks: The marks, in canonical order.
    """
    decomposed = letter + marks
    composed = unicodedata.normalize("NFC", decomposed)
    found = {decomposed: composed}
    if letter and composed == decomposed:
        return {}  # nothing composes: the rules of the marks alone sort them
    if all(map(unicodedata.combining, marks)):
        for order in map("".join, permutations(marks)):
            if unicodedata.normalize("NFD", letter + order) == decomposed:
                starts = (unicodedata.normalize("NFC", letter + order[:first]) for first in range(len(order) + 1))
                found |= {
                    start + order[first:]: composed for first, start in enumerate(starts) if len(start) == len(letter)
                }
    return {text: to for text, to in found.items() if text != to}


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)
