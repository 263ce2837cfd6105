"""Augmentation: modified copies of training pairs; none is made by default.

In counterfactual copies (Lu et al., 2018; Zmigrod et al., 2019) the terms of each given pair of terms are swapped, so
that a model learns the same about both. Noisy copies have typing errors in their source, which makes a model robust.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from seqline.components.tokenize.content import matching
from seqline.components.tokenize.options import Options
from seqline.metrics.terms import terms_pattern
from seqline.normalization import clean


class Copy(NamedTuple):
    """A modified copy of a pair.

    Attributes:
        row: The row of the original.
        method: "counterfactual" or "noise".
        source: Its source.
        target: Its target.
    """

    row: int
    method: str
    source: str
    target: str


class Terms:
    """Swaps terms in texts.

    Args:
        pairs: Pairs of terms of one side.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        pairs = [(clean(one), clean(other)) for one, other in pairs]
        self.other = {one.lower(): other for pair in pairs for one, other in (pair, pair[::-1])}
        self._words = terms_pattern(self.other) if pairs else None
        self.pattern = "(?i)" + "|".join(map(re.escape, self.other))

    def found(self, text: str) -> Iterator[str]:
        """Yields each term in a text, in lower case."""
        return (term.lower() for term in (self._words.findall(text) if self._words else ()))

    def swap(self, text: str) -> str:
        """Replaces each term by its other one, in the same case."""
        if not self._words:
            return text
        return self._words.sub(self._swapped, text)

    def _swapped(self, found: Any) -> str:
        term = found[0]
        # A long s matches s without being one in lower case.
        return _like(term, self.other[term.lower()]) if term.lower() in self.other else term


class Augmenter:
    """Makes copies of pairs, which depend on the pairs' content alone.

    Args:
        options: counterfactual and noise_share are used.
    """

    def __init__(self, options: Options) -> None:
        self.noise_share = options.noise_share
        terms = [tuple(entry) for entry in options.counterfactual]
        both = [entry for entry in terms if len(entry) == 2]
        each = [entry for entry in terms if len(entry) == 4]
        self.sides = Terms(both + [entry[:2] for entry in each]), Terms(both + [entry[2:] for entry in each])
        self.entries = _entries([entry[:2] for entry in each]), _entries([entry[2:] for entry in each])
        self.active = bool(terms or options.noise_share)

    def copies(self, table: pa.Table) -> Iterator[Copy]:
        """Makes the copies of the pairs of a table, in the order of its rows.

        Args:
            table: Has source, target and row_hash.
        """
        source, target = (table[side].combine_chunks() for side in ("source", "target"))
        every = np.ones(len(table), bool)
        named = np.zeros(len(table), bool)
        for texts, terms in zip((source, target), self.sides, strict=True):
            if terms.other:
                named |= matching(texts, terms.pattern, every)
        hashes = table["row_hash"].to_numpy()
        noisy = hashes / 2.0**64 < self.noise_share
        for row in np.flatnonzero(named | noisy).tolist():
            texts = source[row].as_py(), target[row].as_py()
            if named[row] and (pair := self._counterfactual(*texts)) not in (None, texts):
                yield Copy(row, "counterfactual", *pair)
            if noisy[row] and (noise := with_typing_errors(texts[0], int(hashes[row]))) != texts[0]:
                yield Copy(row, "noise", noise, texts[1])

    def _counterfactual(self, source: str, target: str) -> tuple[str, str] | None:
        counts = [
            Counter(number for term in terms.found(text) for number in entries[term])
            for text, terms, entries in zip((source, target), self.sides, self.entries, strict=True)
        ]
        if counts[0] != counts[1]:
            # A term without its counterpart on the other side: swapping it would make a wrong translation.
            return None
        return self.sides[0].swap(source), self.sides[1].swap(target)


def _entries(pairs: list[tuple[str, str]]) -> dict[str, set[int]]:
    """The numbers of the entries that a term in lower case is in."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, pair in enumerate(pairs):
        for term in pair:
            found[clean(term).lower()].add(number)
    return found


def with_typing_errors(text: str, seed: int) -> str:
    """Makes typing errors: every tenth word, at least one, gets a letter dropped, doubled or swapped with the next.

    Args:
        text: A clean text.
        seed: Selects the words and the errors.
    """
    chooser = random.Random(seed)
    words = text.split(" ")
    for index in chooser.sample(range(len(words)), -(-len(words) // 10)):
        word = words[index]
        at = chooser.randrange(len(word)) if word else 0
        kind = chooser.randrange(3)
        if len(word) < 2:
            continue
        if kind == 0:
            word = word[:at] + word[at + 1 :]
        elif kind == 1:
            word = word[: at + 1] + word[at:]
        else:
            word = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
        words[index] = word
    return clean(" ".join(words))


def _like(pattern: str, word: str) -> str:
    """Gives a word the case of another."""
    if pattern.isupper() and len(pattern) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if pattern[:1].isupper() else word
