"""The corpus that tokenize leaves, and its layout.

    corpus/
      manifest.json                     counts, shards, options, fingerprint
      tokenizer.model, tokenizer.vocab  SentencePiece; pad 0, unknown 1, begin 2, end 3; one vocabulary for both
      train-00016-00000-of-00004.tfrecord
                                        tf.train.Example with the int64 lists "source" and "target": piece ids without
                                        begin and end; pairs of up to 16 pieces a side, longer ones in files of theirs;
                                        "augmented": [1] marks pairs that were made of others
      valid-00000-of-00001.tfrecord     the same for validation, of all lengths
      valid.jsonl, test.jsonl           cleaned text: {"source": ..., "target": ...} one a line, and "slice" if there is
      statistics.json                   lengths, ratios, pieces and slices, by which the next corpus is compared
      rejected.jsonl                    a sample of the rows left out: {"reason", "where", "source", "target"}

Standard library only: the images of the other stages read corpora too.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqline.errors import UserError

SCHEMA_VERSION = 2
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Counts:
    """What became of the rows; read = kept + all that were rejected, and kept = train + valid + test.

    Attributes:
        read: Rows of all input files.
        kept: Pairs in the corpus.
        rejected: Rows left out, by the first reason found.
        train: Pairs to learn from, those made by augmentation aside.
        valid: Pairs that training is watched with.
        test: Pairs that only evaluation sees.
        augmented: Training pairs made of others, by how; in the shards they come beside the others.
    """

    read: int
    kept: int
    rejected: dict[str, int]
    train: int
    valid: int
    test: int
    augmented: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """One TFRecord file.

    Attributes:
        file: Its name in the corpus folder.
        records: Pairs in it.
        source_tokens: Pieces of all sources.
        target_tokens: Pieces of all targets.
        longest: Most pieces of a side of a pair in it; 0 where that was not written down.
    """

    file: str
    records: int
    source_tokens: int
    target_tokens: int
    longest: int = 0


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    Attributes:
        fingerprint: The same for the same data, options and schema version.
        options: The options of the stage.
        counts: What became of the rows.
        shards: The TFRecord files, training's first.
        vocabulary_size: Pieces in the tokenizer.
        source_language: Language code of the sources.
        target_language: Language code of the targets.
        schema_version: Version of this layout.
    """

    fingerprint: str
    options: dict[str, Any]
    counts: Counts
    shards: list[Shard]
    vocabulary_size: int
    source_language: str
    target_language: str
    schema_version: int = field(default=SCHEMA_VERSION)

    def to_json(self) -> str:
        """The text of manifest.json."""
        record = asdict(self)
        return json.dumps({"schema_version": record.pop("schema_version"), **record}, indent=2) + "\n"


def bucket_edges(max_tokens: int) -> list[int]:
    """The longest side, in pieces, of the pairs of each file: 8, 16, 24, 32, 48, 64, 96, …, up to max_tokens.

    Args:
        max_tokens: Longest side of all.
    """
    edges, edge = [8, 16, 24], 32
    while edge < max_tokens:
        edges += [edge, edge * 3 // 2]
        edge *= 2
    return [*(edge for edge in edges if edge < max_tokens), max_tokens]


@dataclass(frozen=True)
class Corpus:
    """A corpus folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def manifest(self) -> Path:
        """The manifest's file."""
        return self.path / "manifest.json"

    @property
    def tokenizer(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def vocabulary(self) -> Path:
        """The pieces and their scores, one a line."""
        return self.path / "tokenizer.vocab"

    def text(self, split: Split) -> Path:
        """The cleaned text of the validation or test pairs."""
        return self.path / f"{split}.jsonl"

    def shards(self, split: Split) -> list[Path]:
        """The TFRecord files of the training or validation pairs, in order.

        Raises:
            UserError: If the folder is no complete corpus.
        """
        files = [shard.file for shard in self.read_manifest().shards if shard.file.startswith(f"{split}-")]
        return [self._existing(self.path / file) for file in files]

    def read_text(self, split: Split) -> list[dict[str, str]]:
        """The cleaned text of the validation or test pairs: objects with "source", "target" and maybe "slice".

        Raises:
            UserError: If the folder is no complete corpus.
        """
        with self._existing(self.text(split)).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def read_manifest(self) -> Manifest:
        """What manifest.json says.

        Raises:
            UserError: If the folder is no corpus, or one of another schema version.
        """
        try:
            record = json.loads(self._existing(self.manifest).read_text(encoding="utf-8"))
            version = record["schema_version"]
            if version != SCHEMA_VERSION:
                raise UserError(f"{self.manifest} has schema version {version}, not {SCHEMA_VERSION}; tokenize again")
            counts, shards = Counts(**record["counts"]), [Shard(**shard) for shard in record["shards"]]
            return Manifest(**{**record, "counts": counts, "shards": shards})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(f"{self.manifest} is no corpus manifest ({error}); tokenize again") from None

    def _existing(self, file: Path) -> Path:
        if not file.is_file():
            raise UserError(f"{self.path} is no complete corpus: {file.name} is missing; tokenize again")
        return file
