"""Choosing the size of the vocabulary: the largest whose tokens are frequent enough to be learned."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice

from seqline.components.tokenize.options import LARGEST_VOCABULARY, Options
from seqline.components.tokenize.vocabulary import load, train_tokenizer
from seqline.errors import UserError

SIZES = (1000, 1400, 2000, 2800, 4000, 5600, 8000, 11000, 16000, 22000, LARGEST_VOCABULARY)
"""Sizes to choose from."""
LEAST_OCCURRENCES, MOST_OCCURRENCES = 5, 100
"""Occurrences in the training pairs from which on a token is frequent, of small and of large corpora."""
OCCURRENCE_SHARE = 1 / 80_000
"""Of all tokens, between these two: 10,000 pairs of Multi30k get 4,000 tokens, see docs/training.md."""
FREQUENT = 0.95
"""Share of the tokens that must be frequent (Gowda and May 2020, "Finding the Optimal Vocabulary Size for NMT")."""
SAMPLE_PAIRS, SAMPLE_CHARACTERS = 200_000, 32_000_000
"""The sample that sizes are compared on, at most; the first pairs are a uniform sample."""
BATCH = 10_000

Pairs = Iterable[tuple[str, str]]


def train_chosen(pairs: Callable[[], Pairs], total: int, options: Options) -> bytes:
    """Trains a tokenizer of the largest size in `SIZES` of which 95% of the tokens are frequent.

    Args:
        pairs: Returns the training pairs, or a uniform sample of them, from the first on.
        total: Number of all training pairs.
        options: As for `train_tokenizer`; the size is replaced.

    Returns:
        The serialized SentencePiece model, trained on all that `pairs` returns.

    Raises:
        UserError: The largest vocabulary is too small for the characters of the texts.
    """
    sample = list(_limited(pairs()))
    texts, scale = list(_texts(sample)), total / max(len(sample), 1)

    def train(texts: Iterable[str], size: int) -> bytes:
        return train_tokenizer(texts, options.with_values(vocabulary_size=size))

    def fits(size: int) -> bool:
        try:
            model = train(texts, size)
        except UserError:
            return True  # the characters alone need a larger one
        return frequent_share(model, _counted(model, texts), scale) >= FREQUENT

    *smaller, last = SIZES[SIZES.index(largest(fits)) :]
    for size in smaller:
        with suppress(UserError):
            return train(_texts(pairs()), size)
    return train(_texts(pairs()), last)


def largest(fits: Callable[[int], bool]) -> int:
    """Returns the largest of `SIZES` that fits, or the smallest if none does.

    Args:
        fits: Whether a size fits; smaller ones than one that fits do too.
    """
    low, high = 0, len(SIZES)
    while low < high:
        middle = (low + high) // 2
        if fits(SIZES[middle]):
            low = middle + 1
        else:
            high = middle
    return SIZES[max(low - 1, 0)]


def frequent_share(model: bytes, counts: Mapping[int, float], scale: float = 1.0) -> float:
    """Returns the share of a vocabulary's tokens that are frequent, without special tokens and single bytes.

    Args:
        model: The SentencePiece model.
        counts: Occurrences by id.
        scale: What they are multiplied by, where they are of a sample.
    """
    processor = load(model)
    tokens = [
        token
        for token in range(processor.vocab_size())
        if not (processor.is_control(token) or processor.is_unknown(token) or processor.is_byte(token))
    ]
    all_tokens = scale * sum(counts.values())
    needed = min(max(all_tokens * OCCURRENCE_SHARE, LEAST_OCCURRENCES), MOST_OCCURRENCES)
    return sum(scale * counts.get(token, 0) >= needed for token in tokens) / max(len(tokens), 1)


def _counted(model: bytes, texts: list[str]) -> Counter[int]:
    processor, counts = load(model), Counter[int]()
    for first in range(0, len(texts), BATCH):
        for ids in processor.encode(texts[first : first + BATCH]):
            counts.update(ids)
    return counts


def _texts(pairs: Pairs) -> Iterator[str]:
    return (text for pair in pairs for text in pair if text)


def _limited(pairs: Pairs) -> Iterator[tuple[str, str]]:
    characters = 0
    for source, target in islice(pairs, SAMPLE_PAIRS):
        yield source, target
        characters += len(source) + len(target)
        if characters >= SAMPLE_CHARACTERS:
            return
