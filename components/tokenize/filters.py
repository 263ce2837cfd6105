"""The filters of the cleaning rules: each returns a mask of the pairs that it rejects.

Patterns are RE2's, by Arrow. A fast check of the bytes selects the few rows for the slow exact one.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqline.components.tokenize.content import DIGIT, LETTER, SPACE, START, SYMBOL, TAG, WIDE, Content, Mask, matching
from seqline.components.tokenize.markup import MARKUP
from seqline.languages import UNSPACED, language_of

Lengths = npt.NDArray[np.int64]

_ADDRESS = r"(?:https?://|www\.)\S+|[^\s@]+@[^\s@]+\.[^\s@]+"
_BROKEN = "\ufffd|Ã[\u00a0-\u00bf]|â€|Ð[\u00a0-\u00bf]Ñ"
_NUMBER = re.compile(r"\d+")
# Shares of a few characters mean nothing: "54%", "13.08.2000".
_ENOUGH = 20


@dataclass(frozen=True)
class Pairs:
    """Columns of cleaned pairs.

    Attributes:
        source: Strings; all empty if the task has no sources.
        target: Strings.
        languages: Codes of the two languages.
    """

    source: pa.Array
    target: pa.Array
    languages: tuple[str, str]

    def __len__(self) -> int:
        return len(self.target)

    @property
    def sides(self) -> tuple[pa.Array, pa.Array]:
        """Source and target."""
        return self.source, self.target

    @cached_property
    def contents(self) -> tuple[Content, Content]:
        """The bytes of the sides."""
        return Content(self.source), Content(self.target)

    @cached_property
    def lengths(self) -> tuple[Lengths, Lengths]:
        """The number of characters of each side without spaces."""
        source, target = (content.characters - content.count(SPACE) for content in self.contents)
        return source, target


def _either(pairs: Pairs, pattern: str, among: Callable[[Content], Mask]) -> Mask:
    """Pairs with a side that matches; only sides that `among` finds in the bytes are tried."""
    source, target = (
        matching(side, pattern, among(content)) for side, content in zip(pairs.sides, pairs.contents, strict=True)
    )
    return source | target


def broken_encoding(pairs: Pairs, _: float) -> Mask:
    """Rejects U+FFFD, and UTF-8 that was decoded as Latin-1."""
    return _either(pairs, _BROKEN, lambda content: content.have(WIDE))


def markup(pairs: Pairs, _: float) -> Mask:
    """Rejects tags, comments and entities."""
    return _either(pairs, MARKUP, lambda content: content.have(TAG))


def url(pairs: Pairs, _: float) -> Mask:
    """Rejects sides of nothing but URLs and mail addresses."""
    return _either(pairs, rf"^(?:(?:{_ADDRESS})\s*)+$", lambda content: content.have(SYMBOL))


def too_few_characters(pairs: Pairs, least: float) -> Mask:
    """Rejects sides with fewer characters than `least`, except an empty source if the task allows it."""
    source, target = pairs.lengths
    return np.asarray((target < least) | ((source < least) & (source > 0)))


def long_word(pairs: Pairs, most: float) -> Mask:
    """Rejects more than `most` characters without a space, in scripts that have spaces."""
    pattern = rf"[^\s{UNSPACED}]{{{min(int(most) + 1, 1000)}}}"
    return _either(pairs, pattern, lambda content: content.have_word_over(int(most)))


def _share(pairs: Pairs, most: float, pattern: str, kind: int) -> Mask:
    """Rejects texts of some length of whose characters more than `most` match.

    Args:
        pairs: The pairs.
        most: A share of the characters.
        pattern: A character class.
        kind: The kind of bytes of its ASCII characters.
    """
    rejected = np.zeros(len(pairs), bool)
    for side, content, length in zip(pairs.sides, pairs.contents, pairs.lengths, strict=True):
        # An upper bound: all characters that are not ASCII may match.
        likely = (length >= _ENOUGH) & (content.count(kind | START) > most * length)
        rows = np.flatnonzero(likely)
        if len(rows):
            count = pc.count_substring_regex(side.take(pa.array(rows)), pattern).to_numpy()
            rejected[rows] |= count > most * length[rows]
    return rejected


def symbols(pairs: Pairs, most: float) -> Mask:
    """Rejects sides of whose characters more than `most`, or all, are neither letters nor digits."""
    nothing_else = _either(pairs, r"^[^\pL\pM\pN]+$", lambda content: ~content.have(LETTER | DIGIT))
    return _share(pairs, most, r"[^\pL\pM\pN\s]", SYMBOL) | nothing_else


def digits(pairs: Pairs, most: float) -> Mask:
    """Rejects sides of whose characters more than `most` are digits."""
    return _share(pairs, most, r"\pN", DIGIT)


def numbers_differ(pairs: Pairs, _: float) -> Mask:
    """Rejects pairs whose sides have different numbers, separators aside."""
    rejected = np.zeros(len(pairs), bool)
    for row in np.flatnonzero(_either(pairs, r"\pN", lambda content: content.have(DIGIT | WIDE))):
        source, target = (_NUMBER.findall(side[int(row)].as_py()) for side in pairs.sides)
        rejected[row] = Counter("".join(source)) != Counter("".join(target))
    return rejected


def identical(pairs: Pairs, words: float) -> Mask:
    """Rejects pairs of at least `words` words whose sides differ in case at most."""
    source, target = pairs.contents
    rows = np.flatnonzero((source.characters == target.characters) & (target.count(SPACE) + 1 >= words))
    lower = (pc.utf8_lower(side.take(pa.array(rows))) for side in pairs.sides)
    same = np.zeros(len(pairs), bool)
    same[rows] = pc.equal(*lower).to_numpy(zero_copy_only=False)
    return same


def wrong_script(pairs: Pairs, least: float) -> Mask:
    """Rejects sides of whose letters less than `least` are in the script of their language."""
    rejected = np.zeros(len(pairs), bool)
    for side, content, language in zip(pairs.sides, pairs.contents, pairs.languages, strict=True):
        inside = language_of(language).letters
        if not inside:
            continue
        # Mn and Mc are marks of letters; Common and Inherited letters belong to every script.
        foreign = rf"[^{inside}\p{{Common}}\p{{Inherited}}]"
        likely = content.have(WIDE) if inside == r"\p{Latin}" else np.ones(len(pairs), bool)
        some = np.flatnonzero(matching(side, foreign, likely))
        if len(some):
            texts = side.take(pa.array(some))
            strange = pc.count_substring_regex(texts, foreign).to_numpy()
            own = pc.count_substring_regex(texts, rf"[{inside}]").to_numpy()
            rejected[some] |= own < least * (own + strange)
    return rejected
