"""The one normalization of text: done here before training, and inside the tokenizer wherever it runs.

NFC, every kind of space and control character as one plain space, no zero-width spaces. NFKC, SentencePiece's
default, would also rewrite what a translation must keep: "²", "…", "½", full-width punctuation.
"""

import re
import unicodedata
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Beyond the third plane no character is a space, a control, a mark, or has a decomposition.
_END = 0x30000
_INVISIBLE = "\u200b\u2060\ufeff"


def clean(text: str) -> str:
    """Normalizes one side of a pair; the result holds no tab, line break or space at either end.

    Args:
        text: Any text.
    """
    return " ".join(unicodedata.normalize("NFC", text.translate(_replacements())).split())


def clean_column(texts: pa.Array) -> pa.Array:
    """Normalizes many texts as `clean` does; nearly all are clean already, and those are only looked at.

    Args:
        texts: Strings without nulls.
    """
    unclean = pc.match_substring_regex(texts, _unclean())
    if not pc.any(unclean).as_py():
        return texts
    replacements = [clean(text) for text in texts.filter(unclean).to_pylist()]
    return pc.replace_with_mask(texts, unclean, pa.array(replacements, pa.string()))


def folded_column(texts: pa.Array) -> list[bytes]:
    """What is left of texts without case, punctuation, symbols and spacing: near duplicates are equal here.

    Numbers stay apart: "1.5" is not "15". A text of punctuation alone stays as it is.

    Args:
        texts: Cleaned strings.
    """
    if not len(texts):
        return []
    special = pc.match_substring_regex(texts, _NOT_PLAIN)
    folded: list[bytes] = "\n".join(pc.utf8_lower(texts).to_pylist()).encode().translate(None, _DELETED).split(b"\n")
    for place in np.flatnonzero(special.to_numpy(zero_copy_only=False)):
        folded[place] = _fold(texts[int(place)].as_py())
    return folded


_DELETED = bytes(code for code in range(0x80) if not chr(code).isalnum() and code != ord("\n"))
_NOT_PLAIN = r"[^\x00-\x7F\pL\pM\pN]|\d[^\pL\pM\pN]+\d|^[^\pL\pM\pN]*$"
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\W_]+(?=\d)")


def _fold(text: str) -> bytes:
    lower = _BETWEEN_DIGITS.sub("\0", text.lower())
    kept = "".join(char for char in lower if char.isalnum() or char == "\0" or unicodedata.category(char)[0] == "M")
    return (kept or text).encode()


@lru_cache(maxsize=1)
def _unclean() -> str:
    """A regular expression of RE2 that finds every text that `clean` would change, and few others."""
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
    codes = np.array(sorted(code for code in suspicious if not 0xD800 <= code < 0xE000))
    breaks = np.flatnonzero(np.diff(codes) > 1)
    firsts, lasts = codes[np.r_[0, breaks + 1]], codes[np.r_[breaks, len(codes) - 1]]
    ranges = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in zip(firsts, lasts, strict=True))
    return rf"[{ranges}]|  |^ | $"


@lru_cache(maxsize=1)
def _replacements() -> dict[int, str]:
    every = (chr(code) for code in range(_END))
    blank = (char for char in every if (char.isspace() and char != " ") or unicodedata.category(char) == "Cc")
    table = {ord(char): " " for char in blank}
    return table | dict.fromkeys(map(ord, _INVISIBLE), "")


@lru_cache(maxsize=1)
def sentencepiece_rules() -> str:
    """The same normalization as SentencePiece's table: "hexadecimal code points TAB their replacement" a line.

    Text goes through it at serving, where nothing else cleans it. One thing is beyond a table: combining marks
    that follow their letter in another than the canonical order.
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
            # Partly composed forms too: Ǖ is Ü with a macron as well as U with two marks.
            if rest and not first.startswith("<"):
                rules["".join(chr(int(part, 16)) for part in (first, *rest.split()))] = char
    return "".join(f"{_hexadecimal(text)}\t{_hexadecimal(to)}\n" for text, to in sorted(rules.items()))


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)
