"""Finds terms in texts of any script."""

from collections.abc import Iterable

import regex  # type: ignore[import-untyped]

from seqline.languages import UNSPACED
from seqline.normalization import clean

_SPACED = rf"(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_]"
_UNSPACED = regex.compile(rf"[{UNSPACED}]")


def terms_pattern(terms: Iterable[str]) -> "regex.Pattern[str]":
    """Returns a pattern that finds terms in cleaned text, in any case; of several at one place the longest.

    A term is a whole word. Where a script has no spaces between words, nothing marks the end of a word: a term is found
    wherever its characters are, unless a combining mark follows that changes the last one.

    Args:
        terms: The terms, at least one.
    """
    ordered = sorted(map(clean, terms), key=len, reverse=True)
    return regex.compile("|".join(map(_alternative, ordered)), regex.IGNORECASE)


def _alternative(term: str) -> str:
    start = "" if _UNSPACED.match(term) else rf"(?<!{_SPACED})"
    # The last character may be a mark of one.
    end = r"(?!\p{M})" if regex.search(rf"[{UNSPACED}]\p{{M}}*$", term) else rf"(?!{_SPACED})"
    return f"{start}{regex.escape(term, special_only=True)}{end}"
