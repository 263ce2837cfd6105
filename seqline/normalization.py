"""The one normalization of text: before training, and in the exported graph at serving.

NFC, every kind of space and control character becomes one plain space, zero-width spaces are removed. NFKC,
SentencePiece's default, would also rewrite characters that a translation must preserve: "²", "…", "½", full-width
punctuation.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

UNICODE_END = 0x30000
"""Above this no character is a space, a control, a mark, or has a decomposition."""
INVISIBLE = "\u200b\u2060\ufeff"


def clean(text: str) -> str:
    """Normalizes a text; the result holds no tab, line break or space at either end.

    Args:
        text: Any text.
    """
    # Nothing that is replaced is printable.
    replaced = text if text.isprintable() else text.translate(replacements())
    return " ".join(unicodedata.normalize("NFC", replaced).split())


@lru_cache(maxsize=1)
def replacements() -> dict[int, str]:
    """Returns what `clean` replaces, by code point: blanks by a space, invisible characters by nothing."""
    return dict.fromkeys(map(ord, blanks()), " ") | dict.fromkeys(map(ord, INVISIBLE), "")


@lru_cache(maxsize=1)
def blanks() -> tuple[str, ...]:
    """Returns all spaces and control characters but the plain space."""
    every = map(chr, range(UNICODE_END))
    return tuple(char for char in every if (char.isspace() and char != " ") or unicodedata.category(char) == "Cc")


def character_class(codes: Iterable[int]) -> str:
    """Returns a character class of RE2.

    Args:
        codes: Code points, at least one.
    """
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges) + "]"
