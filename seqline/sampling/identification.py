"""The script and the language of a text."""

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqline.languages import SCRIPTS

log = logging.getLogger(__name__)

COMMON = "Common"
"""The script of a text without letters of a script: digits, punctuation, emoji."""
CONFIDENT = 0.5
"""Least probability, among the languages that are known, of a language that is reported."""
LETTERS = 8
"""Least letters of a text whose language is identified: a word or two of Latin script fit many languages."""
CHARACTERS = 500
"""Only so many characters of a text are looked at."""


def scripts_of(texts: Sequence[str]) -> list[str]:
    """Returns the script of most of the letters of each text, by its Unicode name; `COMMON` without letters.

    Args:
        texts: The texts.
    """
    found = [("Latin" if any(map(str.isalpha, text[:CHARACTERS])) else COMMON) for text in texts]
    rows = np.array([row for row, text in enumerate(texts) if not text.isascii()], np.int64)
    if not len(rows):
        return found
    column = pa.array([texts[row][:CHARACTERS] for row in rows], pa.string())
    # Most of these are of one script: the others are counted only where there is another letter.
    foreign = pc.match_substring_regex(column, r"[^\p{Latin}\p{Common}\p{Inherited}]").to_numpy(zero_copy_only=False)
    for row, count in zip(rows[~foreign], _counts(column.filter(~foreign), "Latin"), strict=True):
        found[row] = "Latin" if count else COMMON
    if foreign.any():
        some = column.filter(foreign)
        names = ["Latin", *(name for name in SCRIPTS if name != "Latin")]
        counts = np.stack([_counts(some, name) for name in names])
        for row, best, most in zip(rows[foreign], counts.argmax(axis=0), counts.max(axis=0), strict=True):
            found[row] = names[best] if most else COMMON
    return found


def language_of_text(text: str) -> str | None:
    """Identifies the language of a text.

    Args:
        text: The text.

    Returns:
        Its code in ISO 639-1; None for a text that is too short, or fits several languages.
    """
    text = text[:CHARACTERS]
    letters = sum(map(str.isalpha, text))
    if not letters or (letters < LETTERS and text.isascii()):
        return None
    language, probability = _identifier().classify(text)
    return str(language) if probability >= CONFIDENT else None


class Languages:
    """Identifies languages once their model is read, which a thread of its own does: nothing waits for it."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        threading.Thread(target=self._read, name="languages", daemon=True).start()

    def identify(self, text: str) -> str | None:
        """Identifies the language of a text; None also as long as the model is not read.

        Args:
            text: The text.
        """
        return language_of_text(text) if self._ready.is_set() else None

    def _read(self) -> None:
        try:
            _identifier()
        except Exception as error:  # the other columns are computed without it
            log.warning("languages are not identified: %s: %s", type(error).__name__, error)
            return
        self._ready.set()


def _counts(texts: pa.Array, script: str) -> Any:
    return pc.count_substring_regex(texts, rf"\p{{{script}}}").to_numpy()


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
