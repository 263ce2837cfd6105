"""The one normalization of text: done here before training, and inside the tokenizer wherever it runs.

NFC, every kind of space and control character as one plain space, no zero-width spaces. NFKC, SentencePiece's
default, would also rewrite what a translation must keep: "²", "…", "½", full-width punctuation.
"""

import sys
import unicodedata
from functools import lru_cache

_INVISIBLE = "\u200b\u2060\ufeff"


def clean(text: str) -> str:
    """Normalizes one side of a pair; the result holds no tab, line break or space at either end.

    Args:
        text: Any text.
    """
    return " ".join(unicodedata.normalize("NFC", text.translate(_replacements())).split())


@lru_cache(maxsize=1)
def _replacements() -> dict[int, str]:
    every = (chr(code) for code in range(sys.maxunicode + 1))
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
    for code in range(sys.maxunicode + 1):
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
