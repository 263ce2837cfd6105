"""Slices of the test set: by length, by the slice column, by lists of terms."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqline.errors import UserError
from seqline.metrics.terms import terms_pattern
from seqline.metrics.test_set import Row

QUARTILES = ("shortest", "shorter", "longer", "longest")
MAX_VALUES = 20  # of the slice column: each is a row in a report


@dataclass(frozen=True)
class Membership:
    """A slice, and the condition for its rows.

    Attributes:
        slicing: What defines it: length, slice or terms.
        name: Its name, unique within its slicing.
        has: Whether a row belongs to it.
    """

    slicing: str
    name: str
    has: Callable[[Row], bool]


def find_slices(rows: Iterable[Row], terms: Mapping[str, list[str]]) -> list[Membership]:
    """Finds the slices of a test set.

    Args:
        rows: The test set; only lengths and counts are stored.
        terms: Words by the name of their list; a row belongs to each list with a word in its source or reference, as
            `terms_pattern` finds them.

    Returns:
        Quartiles by the length of the source, the most frequent values of the slice column, the lists of terms.
    """
    lengths, values = [], Counter[str]()
    for row in rows:
        lengths.append(len(row.source))
        if row.slice:
            values[row.slice] += 1
    return [*_by_length(lengths), *_by_value(values), *_by_terms(terms)]


def _by_length(lengths: list[int]) -> Iterator[Membership]:
    edges = np.quantile(lengths, (0.25, 0.5, 0.75), method="inverted_cdf").tolist()
    lows, highs = [0, *(edge + 1 for edge in edges)], [*edges, max(lengths)]
    for quartile, low, high in zip(QUARTILES, lows, highs, strict=True):
        if low <= high:  # equal lengths give fewer quartiles
            name = f"{quartile} ({low or min(lengths)} to {high} characters)"
            yield Membership("length", name, lambda row, low=low, high=high: low <= len(row.source) <= high)  # type: ignore[misc]


def _by_value(values: Counter[str]) -> Iterator[Membership]:
    for value, _ in values.most_common(MAX_VALUES):
        yield Membership("slice", value, lambda row, value=value: row.slice == value)  # type: ignore[misc]


def _by_terms(terms: Mapping[str, list[str]]) -> Iterator[Membership]:
    for name, words in terms.items():
        pattern = terms_pattern(words)

        def has(row: Row, pattern: Any = pattern) -> bool:
            return bool(pattern.search(row.source) or pattern.search(row.reference))

        yield Membership("terms", name, has)


def check_terms(terms: Mapping[str, object]) -> None:
    """Checks lists of terms.

    Args:
        terms: Lists by name.

    Raises:
        UserError: If a list is empty, or has an element that is not text.
    """
    for name, words in terms.items():
        if (
            not isinstance(words, list)
            or not words
            or not all(isinstance(word, str) and word.strip() for word in words)
        ):
            raise UserError(f'{name} must be a list of words such as ["he", "his"], not {words!r}')
