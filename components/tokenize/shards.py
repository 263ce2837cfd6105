"""Writing TFRecord shards, by length."""

from contextlib import ExitStack
from typing import Any

import numpy as np

from seqline.artifacts.corpus import Shard, bucket_edges
from seqline.components.tokenize.encoded import Encoded
from seqline.components.tokenize.examples import tfrecords
from seqline.components.tokenize.options import Options
from seqline.inputs.storage import fsspec


class ShardWriter:
    """Writes pairs to TFRecord files: training pairs to one file for each length bucket.

    Args:
        folder: Folder of the files.
        options: The stage's options.
        split: "train" or "valid".
        part: The part's number.
        stack: Closes the files.
    """

    def __init__(self, folder: str, options: Options, split: str, part: int, stack: ExitStack) -> None:
        self.folder, self.options, self.split, self.part, self.stack = folder, options, split, part, stack
        edges = bucket_edges(options.max_tokens)
        self.edges = np.array(edges if split == "train" else edges[-1:])
        self._files: dict[int, Any] = {}
        self._counts: dict[int, list[int]] = {}

    def write(self, encoded: Encoded) -> None:
        """Writes pairs, each to its bucket's file.

        Args:
            encoded: The pairs. Only with a single bucket may they be longer than its edge.
        """
        source, target = encoded.source.lengths, encoded.target.lengths
        buckets = np.minimum(np.searchsorted(self.edges, encoded.longest), len(self.edges) - 1)
        records = list(tfrecords(encoded.source, encoded.target, encoded.augmented))
        for bucket in np.unique(buckets).tolist():
            rows = np.flatnonzero(buckets == bucket)
            self._file(bucket).write(b"".join(records[row] for row in rows.tolist()))
            counts = self._counts[bucket]
            counts[0] += len(rows)
            counts[1] += int(source[rows].sum())
            counts[2] += int(target[rows].sum())

    def written(self) -> list[Shard]:
        """Returns the manifest's entries."""
        return [
            Shard(self._name(bucket), records, source, target, int(self.edges[bucket]))
            for bucket, (records, source, target) in sorted(self._counts.items())
        ]

    def _file(self, bucket: int) -> Any:
        if bucket not in self._files:
            file = fsspec.open(f"{self.folder}/{self._name(bucket)}", "wb")
            self._files[bucket] = self.stack.enter_context(file)
            self._counts[bucket] = [0, 0, 0]
        return self._files[bucket]

    def _name(self, bucket: int) -> str:
        if self.split != "train":
            return f"{self.split}-00000-of-00001.tfrecord"
        return f"train-{self.edges[bucket]:05}-{self.part:05}-of-{self.options.shards:05}.tfrecord"
