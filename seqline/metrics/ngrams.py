"""Counts n-grams of many sentences at once, by sorting numbers in the place of a Python loop over every n-gram.

At every token starts an n-gram of each order. Its sentence, its tokens and, in the last bit, whether it is the output's
or the reference's are one whole number; sorted by it, equal n-grams of every order are neighbours.
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
BITS = 63  # of a whole number that is not negative
BLOCK = 512  # sentences whose numbers stay in a processor's cache


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
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens from here to the end of the text
    padded = np.concatenate([tokens, np.zeros(longest, np.int64)])
    owner, bits = _bits(sentence), max(1, _bits(tokens))
    grams, used, order = sentence, 0, 0  # the n-grams of an order with their sentence; of order 0 there is one each
    while order < longest and len(tokens):
        more = min(longest - order, (BITS - 1 - owner - used) // bits)
        for place in range(order, order + more):
            # 0 where the text is over.
            grams = grams << bits | padded[place : place + len(tokens)] * (left > place)
        keys = np.sort(grams << 1 | side)
        for place in range(more):
            shift = 1 + bits * (more - 1 - place)
            keys, kinds, matches = _matches(keys, shift, bits)
            owners = kinds >> used + (place + 1) * bits
            counts[:, order + place, 2] = np.bincount(owners, matches, sentences)
        order += more
        if order < longest:  # they do not all fit into one number: number the n-grams so far
            numbered = np.unique(grams, return_inverse=True)[1]
            used = _bits(numbered)
            grams = sentence << used | numbered
    return counts


def _matches(keys: Array, shift: int, bits: int) -> tuple[Array, Array, Array]:
    """Clipped matches of one order.

    Args:
        keys: The n-grams in their order, the longest of them, with their side in the last bit.
        shift: Bits that this order does not have.
        bits: Bits of a token; none of them is set where the text was over.

    Returns:
        The keys of n-grams that are not alone: those of the next order are among them; the different n-grams; and how
        often each matches.
    """
    grams = keys >> shift
    same = grams[1:] == grams[:-1]
    together = np.zeros(len(keys), bool)
    together[1:] = same
    together[:-1] |= same
    together &= grams & (1 << bits) - 1 > 0
    keys, grams = keys[together], grams[together]
    if not len(keys):
        return keys, grams, grams
    first = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1]]))
    ours = np.add.reduceat(keys & 1, first)
    return keys, grams[first], np.minimum(ours, np.diff(first, append=len(keys)) - ours)


def _bits(values: Array) -> int:
    return int(values.max(initial=0)).bit_length()


def _number(texts: Sequence[Sequence[str]]) -> Array:
    """The tokens of all texts in one row, numbered from 1 on."""
    if all(isinstance(text, str) for text in texts):
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)  # type: ignore[arg-type]
        numbers = np.zeros(characters.max(initial=0) + 1, np.int64)
        numbers[characters] = 1
        return np.cumsum(numbers)[characters]
    known: dict[str, int] = {}
    row = [known.setdefault(token, len(known) + 1) for text in texts for token in text]
    return np.array(row, np.int64)


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
