"""Augmentation: training pairs made of others. A copy says how it was made; none is made by default.

Counterfactual copies (Lu et al., 2018; Zmigrod et al., 2019) show a pair with the other term of each pair of terms, so
that a model learns the same of both. Noisy copies have typing errors in their source, so that it learns to read them.
"""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from seqline.components.tokenize.content import matching
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.text import clean


class Copy(NamedTuple):
    """A pair made of another.

    Attributes:
        row: The row that it is made of.
        how: "counterfactual" or "noise".
        source: Its source.
        target: Its target.
    """

    row: int
    how: str
    source: str
    target: str


class Terms:
    """Exchanges terms for each other in texts.

    Args:
        pairs: Terms of one side that go with each other.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.other = {one.lower(): other for pair in pairs for one, other in (pair, pair[::-1])}
        # The longest first: "he himself" before "he".
        words = "|".join(map(re.escape, sorted(self.other, key=len, reverse=True)))
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if pairs else None
        self.pattern = "(?i)" + "|".join(map(re.escape, self.other))

    def count(self, text: str) -> int:
        """How many there are in a text."""
        return len(self._words.findall(text)) if self._words else 0

    def exchange(self, text: str) -> str:
        """The text with each term in the place of the other, in the same case."""
        return (
            self._words.sub(lambda found: _like(found[0], self.other[found[0].lower()]), text) if self._words else text
        )


class Augmenter:
    """Makes copies of pairs, by their content alone.

    Args:
        options: counterfactual and noise_share count here.
    """

    def __init__(self, options: Options) -> None:
        self.noise_share = options.noise_share
        terms = [tuple(entry) for entry in options.counterfactual]
        both = [entry for entry in terms if len(entry) == 2]
        each = [entry for entry in terms if len(entry) == 4]
        self.sides = Terms(both + [entry[:2] for entry in each]), Terms(both + [entry[2:] for entry in each])
        self.matched = [(Terms([entry[:2]]), Terms([entry[2:]])) for entry in each]
        self.active = bool(terms or options.noise_share)

    def copies(self, table: pa.Table) -> Iterator[Copy]:
        """The copies that are made of the pairs of a table, in the order of its rows.

        Args:
            table: Has source, target and row, a hash of each pair.
        """
        source, target = (table[side].combine_chunks() for side in ("source", "target"))
        every = np.ones(len(table), bool)
        named = np.zeros(len(table), bool)
        for texts, terms in zip((source, target), self.sides, strict=True):
            if terms.other:
                named |= matching(texts, terms.pattern, every)
        hashes = table["row"].to_numpy()
        noisy = hashes / 2.0**64 < self.noise_share
        for row in np.flatnonzero(named | noisy).tolist():
            texts = source[row].as_py(), target[row].as_py()
            if named[row] and (pair := self._counterfactual(*texts)) not in (None, texts):
                yield Copy(row, "counterfactual", *pair)
            if noisy[row] and (noise := with_typing_errors(texts[0], int(hashes[row]))) != texts[0]:
                yield Copy(row, "noise", noise, texts[1])

    def _counterfactual(self, source: str, target: str) -> tuple[str, str] | None:
        if any(one.count(source) != other.count(target) for one, other in self.matched):
            # A term is said on one side alone: exchanged there it would be a wrong translation.
            return None
        return self.sides[0].exchange(source), self.sides[1].exchange(target)


def with_typing_errors(text: str, seed: int) -> str:
    """A text in which every tenth word, and at least one, has a letter left out, doubled or exchanged with the next.

    Args:
        text: A clean text.
        seed: Decides which and how.
    """
    chooser = random.Random(seed)
    words = text.split(" ")
    for place in chooser.sample(range(len(words)), -(-len(words) // 10)):
        word = words[place]
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
        words[place] = word
    return clean(" ".join(words))


def _like(pattern: str, word: str) -> str:
    """A word in the case of another."""
    if pattern.isupper() and len(pattern) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if pattern[:1].isupper() else word
