"""What training reads of a corpus."""

import hashlib
import logging
from dataclasses import dataclass

import numpy as np

from seqline.artifacts.corpus import Corpus, Manifest, Split
from seqline.components.train.lengths import Lengths
from seqline.components.train.pairs import Pair, Pairs, Stored, StoredPairs
from seqline.errors import UserError

log = logging.getLogger(__name__)

HASH_BYTES = 8
VALID_PAIRS = 10_000
"""Pairs that are validated on, at most: their loss is that of more pairs, to a percent or so."""
VALID_WINDOW = 1 << 15
"""Pairs that are read together to choose from."""


@dataclass(frozen=True)
class TrainingData:
    """What training reads of a corpus.

    Attributes:
        corpus: The corpus.
        manifest: Its manifest.
        train: Pairs to learn from, on disk.
        valid: Pairs to evaluate on: all of the corpus, or a sample of them.
        lengths: Lengths of all pairs of the corpus.
    """

    corpus: Corpus
    manifest: Manifest
    train: StoredPairs
    valid: list[Pair]
    lengths: Lengths

    def max_length(self, architecture: str) -> int:
        """The sequence length that a model has for all pairs; preflight and train must agree on it.

        Args:
            architecture: transformer or gpt.

        Returns:
            What `needed` returns, `SMALLEST` at least.
        """
        return max(SMALLEST[architecture], needed(architecture, self.lengths))


def read_data(corpus: Corpus, valid_pairs: int = VALID_PAIRS) -> TrainingData:
    """Opens the train pairs of a corpus, and reads the valid pairs.

    Args:
        corpus: The corpus.
        valid_pairs: Valid pairs that are read, at most.

    Raises:
        UserError: If the corpus cannot be read or one of the splits is empty.
    """
    manifest = corpus.read_manifest()
    train = StoredPairs(stored(corpus, "train"))
    valid = StoredPairs(stored(corpus, "valid"), VALID_WINDOW)
    for split, found in (("train", train), ("valid", valid)):
        if not len(found):
            raise UserError(f"the corpus {corpus.path} has no {split} pairs; give tokenize more data")
    lengths = train.table + valid.table
    return TrainingData(corpus, manifest, train, sample(valid, valid_pairs), lengths)


def stored(corpus: Corpus, split: Split) -> list[Stored]:
    """Finds the files of a split.

    Args:
        corpus: The corpus.
        split: train or valid.

    Raises:
        UserError: If the corpus is incomplete.
    """
    kind = corpus.read_manifest().id_type
    return [Stored.of(corpus.path, shard, kind) for shard in corpus.shards(split)]


def sample(pairs: Pairs, count: int) -> list[Pair]:
    """Reads pairs into memory: all of them, or those with the smallest hashes of their tokens.

    Args:
        pairs: The pairs.
        count: Pairs that are read, at most. The same pairs give the same sample, and pairs that are added replace few.
    """
    if len(pairs) <= count:
        return pairs.listed()
    log.info(
        "validating on %s of %s pairs, the same in every run: those with the smallest hashes",
        f"{count:,}",
        f"{len(pairs):,}",
    )
    chosen: list[tuple[bytes, int, Pair]] = []
    largest = b"\xff" * HASH_BYTES
    position = 0
    for number in range(pairs.windows):
        for source, target in pairs.window(number).read().pairs():
            hashed = _hash(source, target)
            if hashed <= largest:
                # Copies: a pair is a part of its window's array.
                chosen.append((hashed, position, (source.copy(), target.copy())))
            if len(chosen) == 2 * count:
                chosen = sorted(chosen)[:count]
                largest = chosen[-1][0]
            position += 1
    # In the order of the corpus, as all pairs are.
    return [pair for _, _, pair in sorted(sorted(chosen)[:count], key=lambda one: one[1])]


def _hash(source: np.ndarray, target: np.ndarray) -> bytes:
    found = hashlib.blake2b(source.data, digest_size=HASH_BYTES)
    found.update(target.data)
    found.update(b"%d" % len(source))
    return found.digest()


SMALLEST = {"transformer": 128, "gpt": 256}
"""The smallest sequence length of each architecture: a model trained on short texts still takes longer ones."""


def needed(architecture: str, lengths: Lengths) -> int:
    """The sequence length that pairs need.

    Args:
        architecture: transformer or gpt.
        lengths: Lengths of the pairs.

    Returns:
        Tokens of the longest side and its end; of a gpt, tokens of both sides and their ends.
    """
    return lengths.longest_pair + 2 if architecture == "gpt" else lengths.longest + 1
