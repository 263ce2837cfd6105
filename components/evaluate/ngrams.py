"""Counts n-grams of many sentences at once, with numpy in the place of a Python loop over every n-gram."""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def overlaps(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]], longest: int) -> Array:
    """Counts the n-grams of outputs and references, and those that they share.

    Args:
        outputs: Tokens of each output; a text counts as its characters.
        references: Tokens of each reference, as many.
        longest: Orders from 1 to this one are counted.

    Returns:
        Whole numbers of shape (sentences, longest, 3): n-grams in the output, in the reference, and matches,
        which are clipped: an n-gram matches as often as it occurs on both sides.
    """
    sentences = len(outputs)
    lengths = np.fromiter(map(len, (*outputs, *references)), np.int64, 2 * sentences)
    counts = np.zeros((sentences, longest, 3), np.int32)
    # One long row of tokens; each knows its sentence, and whether the reference's or the output's side it is on.
    tokens, kinds = _number([*outputs, *references])
    sentence = np.repeat(np.tile(np.arange(sentences), 2), lengths)
    is_output = np.repeat(np.arange(2 * sentences) < sentences, lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens from here to the end of the text
    gram = sentence  # the (n-1)-gram that starts at each place, numbered; the empty one is the sentence itself
    for order in range(longest):
        starts = np.flatnonzero(left > order)
        if not len(starts):
            break
        keys = gram[starts] * kinds + tokens[starts + order]
        unique, inverse = np.unique(keys, return_inverse=True)
        ours = is_output[starts]
        output = np.bincount(inverse[ours], minlength=len(unique))
        reference = np.bincount(inverse[~ours], minlength=len(unique))
        owner = np.empty(len(unique), np.int64)
        owner[inverse] = sentence[starts]
        for place, many in enumerate((output, reference, np.minimum(output, reference))):
            counts[:, order, place] = np.bincount(owner, many, sentences)
        gram = np.zeros(len(tokens), np.int64)
        gram[starts] = inverse
    return counts


def _number(texts: Sequence[Sequence[str]]) -> tuple[Array, int]:
    """The tokens of all texts in one row, numbered, and how many kinds there are."""
    if all(isinstance(text, str) for text in texts):
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)  # type: ignore[arg-type]
        kinds, numbered = np.unique(characters, return_inverse=True)
        return numbered.astype(np.int64), max(1, len(kinds))
    numbers: dict[str, int] = {}
    row = [numbers.setdefault(token, len(numbers)) for text in texts for token in text]
    return np.array(row, np.int64), max(1, len(numbers))


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time in the bits of one number.

    Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).

    Args:
        first: Tokens.
        second: Tokens.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << place
    row = whole = (1 << len(first)) - 1
    for token in second:
        matches = row & places.get(token, 0)
        row = (row + matches) | (row - matches)
    return len(first) - (row & whole).bit_count()
