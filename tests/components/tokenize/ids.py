"""The token ids of a corpus, read as its layout says."""

import numpy as np

from seqline.artifacts.corpus import Corpus, Split


def read_ids(corpus: Corpus, split: Split) -> list[tuple[list[int], list[int]]]:
    """The ids of source and target of each pair, in order."""
    found = []
    for shard in corpus.shards(split):
        ids = np.fromfile(corpus.path / shard.file, np.dtype(corpus.read_manifest().id_type).newbyteorder("<")).tolist()
        position = 0
        for left, right in np.fromfile(corpus.path / shard.lengths_file, "<u4").reshape(-1, 2).tolist():
            middle, end = position + left, position + left + right
            found.append((ids[position:middle], ids[middle:end]))
            position = end
        assert position == len(ids) == shard.source_tokens + shard.target_tokens
    return found
