"""The corpus artifact that tokenize writes, and its layout.

corpus/
  manifest.json                     counts, shards, options, fingerprint
  tokenizer.model                   SentencePiece; pad 0, unknown 1, begin 2, end 3; one joint vocabulary
  tokenizer.json                    instead, a pretrained checkpoint's tokenizer or one with a prompt: TextTokenizer
  tokenizer.vocab                   the tokens and their scores, one a line
  train-00000-of-00004.ids          token ids of a part of the training pairs, pair by pair: of the source, then of the
                                    target, without begin and end, with those of the prompt; little-endian, of the type
                                    that the manifest names: uint16 up to 65,536 tokens, else uint32. Copies made by
                                    augmentation are pairs like others
  train-00000-of-00004.lengths      number of ids of the source and of the target of each pair; little-endian uint32
  valid-00000-of-00001.ids, valid-00000-of-00001.lengths
                                    the same for validation
  valid.jsonl, test.jsonl           cleaned text: {"source": ..., "target": ...} one a line, "slice" if there is one
  statistics.json                   lengths, ratios, tokens and slices, for comparison with the next corpus
  sources.json                      the training sources in figures, which export passes on for monitoring: Sources
  rejected.jsonl                    a sample of the rejected rows: {"reason", "where", "source", "target"}
"""

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from seqline.artifacts.record import Record, Schema
from seqline.artifacts.text_tokenizer import tokenizer_file
from seqline.buckets import patiently
from seqline.errors import UserError

Split = Literal["train", "valid", "test"]
TRUNCATED_TASKS = ("summarization", "question_answering")
"""Tasks whose long sources are truncated, as serving does: the start of a text suffices for a summary or an answer."""


@dataclass(frozen=True)
class Counts:
    """Row counts: read = kept + the sum of rejected, and kept = train + valid + test.

    Attributes:
        read: Rows of all input files.
        kept: Pairs in the corpus.
        rejected: Rejected rows, by the first reason found.
        train: Training pairs without augmented copies.
        valid: Validation pairs.
        test: Test pairs, which only evaluation reads.
        augmented: Copies made by augmentation, by method; the training shards hold them in addition.
        truncated: Pairs whose source was truncated to `max_tokens`, by split.
        feedback: Training pairs, of those in `train`, that are corrections from feedback.
    """

    read: int
    kept: int
    rejected: dict[str, int]
    train: int
    valid: int
    test: int
    augmented: dict[str, int] = field(default_factory=dict)
    truncated: dict[str, int] = field(default_factory=dict)
    feedback: int = 0


@dataclass(frozen=True)
class Shard:
    """The two files of some pairs.

    Attributes:
        file: Name of the file of token ids in the corpus folder.
        records: Number of pairs.
        source_tokens: Tokens of all sources.
        target_tokens: Tokens of all targets.
        longest: Most tokens on one side of a pair; 0 if unknown.
        crc32c: CRC-32C of that file, as eight hexadecimal digits.
        lengths_crc32c: CRC-32C of the file of lengths.
    """

    file: str
    records: int
    source_tokens: int
    target_tokens: int
    longest: int = 0
    crc32c: str = ""
    lengths_crc32c: str = ""

    @property
    def lengths_file(self) -> str:
        """Name of the file of lengths."""
        return f"{self.file.removesuffix('.ids')}.lengths"


@dataclass(frozen=True)
class Manifest(Record):
    """The content of manifest.json.

    Attributes:
        fingerprint: The same for the same data, options and schema version.
        options: Options of the stage that decide the corpus's content.
        counts: Row counts.
        shards: The files of token ids, training first.
        vocabulary_size: Tokens in the vocabulary.
        source_language: Language code of the sources.
        target_language: Language code of the targets.
        id_type: Type of the ids in the files, uint16 or uint32; empty before version 4, which has other files.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=4, oldest=2, remedy="tokenize again")

    fingerprint: str
    options: dict[str, Any]
    counts: Counts
    shards: list[Shard]
    vocabulary_size: int
    source_language: str
    target_language: str
    id_type: str = ""

    @property
    def truncates_sources(self) -> bool:
        """Whether sources longer than `max_tokens` were truncated; otherwise their pairs were dropped."""
        # Version 2 dropped the pairs of every task.
        return self.options.get("task") in TRUNCATED_TASKS

    @property
    def without_prompt(self) -> bool:
        """Whether the task is text generation without prompts: every source is empty."""
        return self.options.get("task") == "text_generation" and not self.options.get("source_field")


ID_TYPES = ("uint16", "uint32")
"""Types of the token ids in a corpus's files."""


def id_type(vocabulary_size: int) -> str:
    """Returns the type of token ids in a corpus's files.

    Args:
        vocabulary_size: Tokens in the vocabulary.
    """
    return ID_TYPES[vocabulary_size > 1 << 16]


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
        """The tokenizer, which `seqline.tokenizers.host.read_tokenizer` reads."""
        return tokenizer_file(self.path)

    @property
    def vocabulary(self) -> Path:
        """The tokens and their scores, one a line."""
        return self.path / "tokenizer.vocab"

    def text(self, split: Split) -> Path:
        """The cleaned text of the validation or test pairs."""
        return self.path / f"{split}.jsonl"

    def shards(self, split: Split) -> list[Shard]:
        """The files of the training or validation pairs, in order.

        Raises:
            UserError: If the corpus is incomplete, or has the files of an older version.
        """
        manifest = self.read_manifest()
        if not manifest.id_type:
            raise UserError(
                f"the corpus {self.path} is of an older Seqline: its pairs are TFRecords, which training no longer "
                "reads; tokenize again"
            )
        found = [shard for shard in manifest.shards if shard.file.startswith(f"{split}-")]
        for shard in found:
            for name in (shard.file, shard.lengths_file):
                self._existing(self.path / name)
        return found

    def read_text(self, split: Split, count: int | None = None) -> list[dict[str, str]]:
        """The cleaned text of the validation or test pairs: objects with "source", "target" and maybe "slice".

        Args:
            split: valid or test.
            count: Number of pairs from the first on; None for all.

        Raises:
            UserError: If the corpus is incomplete.
        """
        self.read_manifest()  # without it, the text may be a part
        file = self._existing(self.text(split))

        def read() -> list[dict[str, str]]:
            with file.open(encoding="utf-8") as lines:
                return [json.loads(line) for line in islice(lines, count)]

        return patiently(read, file)

    def read_manifest(self) -> Manifest:
        """Reads manifest.json.

        Raises:
            UserError: If it is missing, is not a manifest, or has a schema version that is not read.
        """
        return Manifest.read(self.manifest)

    def _existing(self, file: Path) -> Path:
        if not patiently(file.is_file, file):
            raise UserError(f"the corpus {self.path} is incomplete: {file.name} is missing; tokenize again")
        return file
