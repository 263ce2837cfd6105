"""Counts n-grams of many sentences at once, by sorting integers instead of a Python loop over every n-gram.

An n-gram of each order starts at every token. One integer encodes its sentence, its tokens and, in the last bit,
whether it belongs to the output or the reference; after sorting, equal n-grams of every order are adjacent.
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
BITS = 63  # of a non-negative int64
BLOCK = 512  # sentences whose integers fit into the CPU cache


def overlaps(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]], longest: int) -> Array:
    """Counts the n-grams of outputs, of references, and their matches.

    Args:
        outputs: Tokens of each output; the tokens of a string are its characters.
        references: Tokens of each reference, as many.
        longest: Highest order; all from 1 are counted.

    Returns:
        Counts of shape (sentences, longest, 3): n-grams in the output, in the reference, and clipped matches: an n-gram
        matches as often as it occurs on both sides.
    """
    blocks = range(0, len(outputs), BLOCK)
    counts = [_overlaps(outputs[at : at + BLOCK], references[at : at + BLOCK], longest) for at in blocks]
    return np.concatenate(counts) if counts else np.zeros((0, longest, 3), np.int32)


def _overlaps(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]], longest: int) -> Array:
    sentences = len(outputs)
    lengths = np.fromiter(map(len, (*outputs, *references)), np.int64, 2 * sentences)
    counts = np.zeros((sentences, longest, 3), np.int32)
    counts[:, :, :2] = np.maximum(lengths.reshape(2, 1, sentences) - np.arange(longest)[:, None], 0).T
    tokens = _number([*outputs, *references])
    sentence = np.repeat(np.tile(np.arange(sentences), 2), lengths)
    side = np.repeat(np.arange(2 * sentences) < sentences, lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens to the end of the text
    padded = np.concatenate([tokens, np.zeros(longest, np.int64)])
    owner, bits = _bits(sentence), max(1, _bits(tokens))
    grams, used, order = sentence, 0, 0  # n-grams of an order with their sentence; the only one of order 0 is empty
    while order < longest and len(tokens):
        more = min(longest - order, (BITS - 1 - owner - used) // bits)
        for offset in range(order, order + more):
            # 0 past the end of the text.
            grams = grams << bits | padded[offset : offset + len(tokens)] * (left > offset)
        keys = np.sort(grams << 1 | side)
        for index in range(more):
            shift = 1 + bits * (more - 1 - index)
            keys, kinds, matches = _matches(keys, shift, bits)
            owners = kinds >> used + (index + 1) * bits
            counts[:, order + index, 2] = np.bincount(owners, matches, sentences)
        order += more
        if order < longest:  # they do not all fit into one integer: number the n-grams so far
            numbered = np.unique(grams, return_inverse=True)[1]
            used = _bits(numbered)
            grams = sentence << used | numbered
    return counts


def _matches(keys: Array, shift: int, bits: int) -> tuple[Array, Array, Array]:
    """Counts clipped matches of one order.

    Args:
        keys: The sorted n-grams of the highest order, with their side in the last bit.
        shift: Bits of higher orders.
        bits: Bits of a token; all are 0 past the end of the text.

    Returns:
        The keys of n-grams that occur more than once, which include all matches of the next order; their distinct
        n-grams; and the matches of each.
    """
    grams = keys >> shift
    same = grams[1:] == grams[:-1]
    repeated = np.zeros(len(keys), bool)
    repeated[1:] = same
    repeated[:-1] |= same
    repeated &= grams & (1 << bits) - 1 > 0
    keys, grams = keys[repeated], grams[repeated]
    if not len(keys):
        return keys, grams, grams
    first = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1]]))
    ours = np.add.reduceat(keys & 1, first)
    return keys, grams[first], np.minimum(ours, np.diff(first, append=len(keys)) - ours)


def _bits(values: Array) -> int:
    return int(values.max(initial=0)).bit_length()


def _number(texts: Sequence[Sequence[str]]) -> Array:
    """Returns the ids of the tokens of all texts in one row, from 1."""
    if all(isinstance(text, str) for text in texts):
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)  # type: ignore[arg-type]
        numbers = np.zeros(characters.max(initial=0) + 1, np.int64)
        numbers[characters] = 1
        return np.cumsum(numbers)[characters]
    known: dict[str, int] = {}
    row = [known.setdefault(token, len(known) + 1) for text in texts for token in text]
    return np.array(row, np.int64)


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Computes the length of the longest common subsequence, with one integer per row of the table.

    Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).

    Args:
        first: Tokens.
        second: Tokens.
    """
    positions: dict[str, int] = {}
    for position, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << position
    row = whole = (1 << len(first)) - 1
    for token in second:
        matches = row & positions.get(token, 0)
        row = (row + matches) | (row - matches)
    return len(first) - (row & whole).bit_count()
