"""Finds terms in texts of any script."""

from collections import defaultdict
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
    edges: dict[tuple[str, str], set[str]] = defaultdict(set)
    for term in map(clean, terms):
        edges[_edges(term)].add(term)
    # \L is a set of texts, which is looked up: thousands of alternatives would be tried one after the other.
    names = {f"terms{number}": found for number, found in enumerate(edges.values())}
    parts = [rf"{start}\L<{name}>{end}" for (start, end), name in zip(edges, names, strict=True)]
    # With POSIX, the longest of the alternatives.
    return regex.compile("|".join(parts), regex.IGNORECASE | regex.POSIX, **names)


def _edges(term: str) -> tuple[str, str]:
    """The patterns before and after a term."""
    start = "" if _UNSPACED.match(term) else rf"(?<!{_SPACED})"
    # The last character may be a mark of one.
    end = r"(?!\p{M})" if regex.search(rf"[{UNSPACED}]\p{{M}}*$", term) else rf"(?!{_SPACED})"
    return start, end
