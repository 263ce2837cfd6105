"""The lexicon of a shortlist: which target tokens the training pairs link to a source token."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqline.artifacts.corpus import Corpus
from seqline.buckets import patiently
from seqline.decoding.lexicon import Lexicon

if TYPE_CHECKING:
    from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)

FREQUENT = 1000
"""Tokens that every output may have."""
LINKED = 8
"""Other tokens for each token of the source, at most."""
SMALLEST_VOCABULARY = 4 * FREQUENT
"""With a smaller one, a batch's shortlist would be most of the vocabulary."""
PAIRS, LINKS = 200_000, 1 << 24
"""Training pairs that are read, and links between their tokens, at most. The first pairs are a random sample."""
ITERATIONS = 4


def make_lexicon(corpus: Corpus, config: "TransformerConfig") -> Lexicon:
    """Counts target tokens, and links them to source tokens by IBM Model 1 (Brown et al. 1993).

    Args:
        corpus: The corpus.
        config: The model's shape, with its vocabulary. The end is always frequent; suppressed tokens are in no list.
    """
    vocabulary_size = config.vocabulary_size
    sources, targets, pairs = read_tokens(corpus)
    counts = np.bincount(targets[1], minlength=vocabulary_size).astype(float)
    counts[list(config.suppressed_ids)], counts[config.eos_id] = -1.0, np.inf
    frequent = np.sort(np.argsort(-counts, kind="stable")[:FREQUENT]).astype(np.int32)
    key, expected = _links(sources, targets, pairs, vocabulary_size)
    source, target = key // vocabulary_size, key % vocabulary_size
    generated = counts >= 0
    generated[frequent] = False
    kept = generated[target]
    source, target, expected = source[kept], target[kept], expected[kept]
    order = np.lexsort((-expected, source))
    source, target = source[order], target[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    linked = np.full((vocabulary_size, LINKED), vocabulary_size, np.int32)
    best = rank < LINKED
    linked[source[best], rank[best]] = target[best]
    log.info("the shortlist has %d frequent tokens, and links %d others to source tokens", FREQUENT, int(best.sum()))
    return Lexicon(frequent, linked)


def read_tokens(corpus: Corpus) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], int]:
    """Reads the first training pairs.

    Args:
        corpus: The corpus.

    Returns:
        The pair and the id of each token of the sources, likewise of the targets, and the number of pairs.
    """
    kind, lengths, ids, read, links = np.dtype(corpus.read_manifest().id_type).newbyteorder("<"), [], [], 0, 0
    for shard in corpus.shards("train"):
        some = _read(corpus.path / shard.lengths_file, "<u4", 2 * (PAIRS - read)).reshape(-1, 2)
        some = some[: np.searchsorted(links + some.prod(axis=1).cumsum(), LINKS)]
        lengths.append(some)
        ids.append(_read(corpus.path / shard.file, kind, int(some.sum())))
        if len(some) < shard.records:
            break
        read, links = read + len(some), links + int(some.prod(axis=1).sum())
    flat = np.concatenate(lengths).reshape(-1)
    sides = np.repeat(np.arange(len(flat)), flat)  # 2 * pair for its source, and 2 * pair + 1 for its target
    tokens = np.concatenate(ids)
    source, target = (sides % 2 == side for side in (0, 1))
    return (sides[source] // 2, tokens[source]), (sides[target] // 2, tokens[target]), len(flat) // 2


def _read(file: Path, kind: Any, count: int) -> np.ndarray:
    return patiently(lambda: np.fromfile(file, kind, count), file).astype(np.int64)


def _links(
    sources: tuple[np.ndarray, np.ndarray], targets: tuple[np.ndarray, np.ndarray], pairs: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The links, source * size + target, and how often each is expected."""
    lengths = np.bincount(sources[0], minlength=pairs)
    starts = np.cumsum(lengths) - lengths
    # Each target token has a link to every token of its source.
    number = lengths[targets[0]]
    owner = np.repeat(np.arange(len(number)), number)
    place = (
        np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number) + np.repeat(starts[targets[0]], number)
    )
    key, link = np.unique(sources[1][place] * size + targets[1][owner], return_inverse=True)
    probability: np.ndarray = np.ones(len(key))
    expected: np.ndarray = probability
    for _ in range(ITERATIONS):
        weights = probability[link]
        weights /= np.bincount(owner, weights, len(number))[owner]
        expected = np.bincount(link, weights, len(key))
        probability = expected / np.bincount(key // size, expected, size)[key // size]
    return key, expected
