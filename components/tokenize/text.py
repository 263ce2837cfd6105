"""Normalizes and compares columns of texts."""

import re
import unicodedata
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.content import CONTROL, WIDE, Content, cut, matching
from seqline.normalization import UNICODE_END, character_class, clean, replacements


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
    cleaned = [clean(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(cleaned, pa.string()))


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
    return character_class(code for code in range(0x80, UNICODE_END) if unicodedata.category(chr(code)) == "Nd")


@lru_cache(maxsize=1)
def _unclean() -> str:
    """A regular expression of RE2 that matches every text that `clean` would change, badly spaced ones aside."""
    seconds = set()
    for code in range(UNICODE_END):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(int(parts[1], 16))
    jamo = range(0x1161, 0x1200)
    suspicious = set(replacements()) | seconds | set(jamo)
    for code in range(0x80, UNICODE_END):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        if unicodedata.combining(char) or unicodedata.normalize("NFC", char) != char:
            suspicious.add(code)
    return character_class(code for code in suspicious if not 0xD800 <= code < 0xE000)
