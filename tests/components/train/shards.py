"""Corpora with given pairs."""

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from seqline.artifacts.corpus import Corpus, Manifest, Split
from seqline.components.tokenize.encoded import Encoded, Ragged
from seqline.components.tokenize.shards import ShardWriter
from seqline.components.train.pairs import Pair


def write_pairs(corpus: Path, split: Split, *shards: list[tuple[int, int]]) -> None:
    """Replaces the pairs of a split by pairs of some lengths, in a shard for each list; each begins with another token.

    Args:
        corpus: The corpus folder.
        split: train or valid.
        *shards: Lengths of source and target.
    """
    listed = [
        [(_side(number, left), _side(number, right)) for number, (left, right) in enumerate(pairs)] for pairs in shards
    ]
    write_tokens(corpus, split, *listed)


def write_tokens(corpus: Path, split: Split, *shards: list[Pair]) -> None:
    """Replaces the pairs of a split by others, in a shard for each list.

    Args:
        corpus: The corpus folder.
        split: train or valid.
        *shards: Token ids of source and target.
    """
    manifest = Corpus(corpus).read_manifest()
    entries = [shard for shard in manifest.shards if not shard.file.startswith(f"{split}-")]
    for number, pairs in enumerate(shards):
        with ExitStack() as stack:
            writer = ShardWriter(str(corpus), f"{split}-{number:05}-of-{len(shards):05}", manifest.id_type, stack)
            writer.write(Encoded(*(Ragged.of([pair[side] for pair in pairs]) for side in (0, 1))))
        entries += writer.written()
    dataclasses.replace(manifest, shards=entries).write(Corpus(corpus).manifest)


def empty_corpus(folder: Path, id_type: str = "uint16") -> Path:
    """Writes the manifest of a corpus without pairs.

    Args:
        folder: The corpus folder.
        id_type: Type of the ids.
    """
    from seqline.artifacts.corpus import Counts

    folder.mkdir(parents=True, exist_ok=True)
    Manifest("f00d", {"task": "translation"}, Counts(0, 0, {}, 0, 0, 0), [], 300, "en", "de", id_type).write(
        Corpus(folder).manifest
    )
    (folder / "tokenizer.model").touch()
    return folder


def _side(number: int, length: int) -> np.ndarray:
    return np.array([10 + number % 90] + [9] * (length - 1), np.int32)[:length]
