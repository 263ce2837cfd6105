"""Shards of a corpus with pairs of given lengths."""

from pathlib import Path

import tensorflow as tf


def write_pairs(file: Path, pairs: list[tuple[int, int]]) -> None:
    """Writes pairs of some lengths as a shard; each begins with another token."""
    with tf.io.TFRecordWriter(str(file)) as writer:
        for number, lengths in enumerate(pairs):
            features = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=[10 + number % 90] + [9] * (length - 1)))
                for name, length in zip(("source", "target"), lengths, strict=True)
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
