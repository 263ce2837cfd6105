"""The one normalization of text: here before training, and inside the tokenizer at serving.

NFC, every kind of space and control character becomes one plain space, zero-width spaces are removed. NFKC,
SentencePiece's default, would also rewrite characters that a translation must preserve: "²", "…", "½", full-width
punctuation.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.content import CONTROL, WIDE, Content, cut, matching

# Above this no character is a space, a control, a mark, or has a decomposition.
_END = 0x30000
_INVISIBLE = "\u200b\u2060\ufeff"


def clean(text: str) -> str:
    """Normalizes one side of a pair; the result holds no tab, line break or space at either end.

    Args:
        text: Any text.
    """
    return " ".join(unicodedata.normalize("NFC", text.translate(_replacements())).split())


def clean_column(texts: pa.Array) -> pa.Array:
    """Normalizes many texts as `clean` does; those that are clean already, nearly all, are returned unchanged.

    Args:
        texts: Strings without nulls.
    """
    content = Content(texts)
    unclean = content.have(CONTROL) | content.badly_spaced
    unclean |= matching(texts, _unclean(), content.have(WIDE) & ~unclean)
    if not unclean.any():
        return texts
    mask = pa.array(unclean)
    replacements = [clean(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(replacements, pa.string()))


def folded_column(texts: pa.Array) -> list[bytes]:
    """Removes case, punctuation, symbols and spacing from texts: near duplicates become equal.

    Numbers stay distinct: "1.5" is not "15". A text of punctuation alone is unchanged.

    Args:
        texts: Cleaned strings.
    """
    if not len(texts):
        return []
    content = Content(_fold_wide(texts))
    data = content.translated(_FOLDED)
    # Where something between two digits is removed, the second digit is written as a control, which no clean text has.
    stays = np.flatnonzero(data != _REMOVED)
    digits = np.flatnonzero(data - np.uint8(ord("0")) < 10)
    order, rows = np.searchsorted(stays, digits), content.rows_of(digits)
    apart = (np.diff(order) == 1) & (np.diff(digits) > 1) & (np.diff(rows) == 0)
    data[digits[1:][apart]] -= ord("0") - 1
    data, edges = data[stays], np.searchsorted(stays, content.edges)
    found = cut(data.tobytes(), edges)
    for row in np.flatnonzero(np.diff(edges) == 0).tolist():
        found[row] = texts[row].as_py().encode()
    return found


def _fold_wide(texts: pa.Array) -> pa.Array:
    """Folds the characters that are not ASCII: lower case, and symbols as spaces."""
    wide = pc.invert(pc.string_is_ascii(texts))
    lower = pc.utf8_lower(texts.filter(wide))
    found = pa.array(matching(lower, rf"{_WIDE_SYMBOLS}|{_wide_digits()}", np.ones(len(lower), bool)))
    some = lower.filter(found)
    digits = pa.array(matching(some, _wide_digits(), np.ones(len(some), bool)))
    apart = [_BETWEEN_DIGITS.sub(_APART, text) for text in some.filter(digits).to_pylist()]
    some = pc.replace_with_mask(some, digits, pa.array(apart, pa.string()))
    some = pc.replace_substring_regex(some, f"{_WIDE_SYMBOLS}+", " ")
    return pc.replace_with_mask(texts, wide, pc.replace_with_mask(lower, found, some))


_WIDE_SYMBOLS = r"[^\x00-\x7F\pL\pM\pN]"
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\W_]+(?=\d)")
_APART, _REMOVED = "\x1f", 0xFF
"""A control that is not removed, and a byte that UTF-8 never has."""


def _folding() -> bytes:
    table = bytearray(range(256))
    for code in range(0x80):
        char = chr(code)
        table[code] = ord(char.lower()) if char.isalnum() or char == _APART else _REMOVED
    return bytes(table)


_FOLDED = _folding()


@lru_cache(maxsize=1)
def _wide_digits() -> str:
    return _class_of(code for code in range(0x80, _END) if unicodedata.category(chr(code)) == "Nd")


@lru_cache(maxsize=1)
def _unclean() -> str:
    """A regular expression of RE2 that matches every text that `clean` would change, badly spaced ones aside."""
    seconds = set()
    for code in range(_END):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(int(parts[1], 16))
    jamo = range(0x1161, 0x1200)
    suspicious = set(_replacements()) | seconds | set(jamo)
    for code in range(0x80, _END):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        if unicodedata.combining(char) or unicodedata.normalize("NFC", char) != char:
            suspicious.add(code)
    return _class_of(code for code in suspicious if not 0xD800 <= code < 0xE000)


def _class_of(found: Iterable[int]) -> str:
    """A character class of RE2."""
    codes = np.array(sorted(found))
    breaks = np.flatnonzero(np.diff(codes) > 1)
    firsts, lasts = codes[np.r_[0, breaks + 1]], codes[np.r_[breaks, len(codes) - 1]]
    ranges = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in zip(firsts, lasts, strict=True))
    return rf"[{ranges}]"


@lru_cache(maxsize=1)
def _replacements() -> dict[int, str]:
    every = (chr(code) for code in range(_END))
    blank = (char for char in every if (char.isspace() and char != " ") or unicodedata.category(char) == "Cc")
    table = {ord(char): " " for char in blank}
    return table | dict.fromkeys(map(ord, _INVISIBLE), "")


@lru_cache(maxsize=1)
def sentencepiece_rules() -> str:
    """The same normalization as SentencePiece's table: "hexadecimal code points TAB their replacement" a line.

    At serving nothing else cleans the text. A table cannot reorder combining marks that follow their letter in another
    than the canonical order.
    """
    rules = {chr(code): replacement for code, replacement in _replacements().items() if code}
    for code in range(_END):
        char = chr(code)
        composed, decomposed = unicodedata.normalize("NFC", char), unicodedata.normalize("NFD", char)
        if composed != char:
            rules.setdefault(char, composed)
        elif decomposed != char:
            rules[decomposed] = char
            first, _, rest = unicodedata.decomposition(char).partition(" ")
            # Partly composed forms as well: Ǖ is Ü with a macron as well as U with two marks.
            if rest and not first.startswith("<"):
                rules["".join(chr(int(part, 16)) for part in (first, *rest.split()))] = char
    return "".join(f"{_hexadecimal(text)}\t{_hexadecimal(to)}\n" for text, to in sorted(rules.items()))


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)
