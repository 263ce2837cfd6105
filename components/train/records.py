"""Reading the corpus's TFRecords back into token ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.artifacts.corpus import Corpus, Manifest
from seqline.errors import UserError

FEATURES = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in ("source", "target")}
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrainingData:
    """What training reads of a corpus; a pair is source and target token ids, int32, without `bos` and `eos`.

    Attributes:
        corpus: The corpus.
        manifest: Its manifest.
        train: Pairs to learn from.
        valid: Pairs to evaluate on.
    """

    corpus: Corpus
    manifest: Manifest
    train: list[Pair]
    valid: list[Pair]

    def max_length(self, architecture: str) -> int:
        """The sequence length that a model needs for all pairs.

        Args:
            architecture: transformer or gpt.
        """
        return longest(architecture, [*self.train, *self.valid])


def read_data(corpus: Corpus) -> TrainingData:
    """Reads the train and valid pairs of a corpus into memory.

    Args:
        corpus: The corpus.

    Raises:
        UserError: If the corpus cannot be read or one of the splits is empty.
    """
    manifest = corpus.read_manifest()
    pairs = {split: read_pairs(corpus.shards(split)) for split in ("train", "valid")}
    for split, found in pairs.items():
        if not found:
            raise UserError(f"the corpus {corpus.path} has no {split} pairs; give tokenize more data")
    return TrainingData(corpus, manifest, **pairs)


def read_pairs(shards: list[Path]) -> list[Pair]:
    """Reads all pairs of some shards into memory, in the order written.

    Args:
        shards: TFRecord files of `tf.train.Example` with the int64 lists `source` and `target`.

    Returns:
        Source and target token ids, int32.
    """
    pairs: list[Pair] = []
    for examples in without_autotuning(tf.data.TFRecordDataset([str(shard) for shard in shards]).batch(4096)):
        parsed = tf.io.parse_example(examples, FEATURES)
        sides = [
            np.split(parsed[name].values.numpy().astype(np.int32), parsed[name].row_splits.numpy()[1:-1])
            for name in ("source", "target")
        ]
        pairs += zip(*sides, strict=True)
    return pairs


def without_autotuning(dataset: Any) -> Any:
    """Turns off the autotuning of a dataset, whose sizes of buffers and pools are constants here.

    The destructor of an iterator waits for the autotuning thread, which sleeps for up to 41 s between its rounds.

    Args:
        dataset: A `tf.data.Dataset`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


SMALLEST = {"transformer": 128, "gpt": 256}
"""The smallest sequence length of each architecture: a model trained on short texts still takes longer ones."""


def longest(architecture: str, pairs: Iterable[Pair]) -> int:
    """The sequence length that a model has for pairs; preflight and train must agree on it.

    Args:
        architecture: transformer or gpt.
        pairs: Source and target token ids.

    Returns:
        What `needed` returns, `SMALLEST` at least.
    """
    return max(SMALLEST[architecture], needed(architecture, pairs))


def needed(architecture: str, pairs: Iterable[Pair]) -> int:
    """The sequence length that pairs need.

    Args:
        architecture: transformer or gpt.
        pairs: Source and target token ids.

    Returns:
        Tokens of the longest side and its end; of a gpt, tokens of both sides and their ends.
    """
    if architecture == "gpt":
        return max((len(left) + len(right) + 2 for left, right in pairs), default=0)
    return max((max(len(left), len(right)) + 1 for left, right in pairs), default=0)
