"""Reading the corpus's TFRecords back into piece ids."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

FEATURES = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in ("source", "target")}


def read_pairs(shards: list[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads all pairs of some shards into memory, in the order written.

    Args:
        shards: TFRecord files of `tf.train.Example` with the int64 lists `source` and `target`.

    Returns:
        Source and target piece ids, int32.
    """
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for examples in tf.data.TFRecordDataset([str(shard) for shard in shards]).batch(4096):
        parsed = tf.io.parse_example(examples, FEATURES)
        sides = [
            np.split(parsed[name].values.numpy().astype(np.int32), parsed[name].row_splits.numpy()[1:-1])
            for name in ("source", "target")
        ]
        pairs += zip(*sides, strict=True)
    return pairs


def longest(architecture: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> int:
    """The length that a model needs for pairs: preflight and train must agree on it.

    Args:
        architecture: transformer or gpt.
        pairs: Source and target token ids.

    Returns:
        Tokens of the longest side and its end, 128 at least; of a gpt, tokens of both sides and their ends, 256 at
        least.
    """
    if architecture == "gpt":
        return max(256, *(len(left) + len(right) + 2 for left, right in pairs))
    return max(128, *(max(len(left), len(right)) + 1 for left, right in pairs))
