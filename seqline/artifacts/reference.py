"""What live traffic is compared with: the sources that a model was trained on, in figures.

corpus/sources.json     `Sources`, which tokenize counts over all training pairs
model/reference.json    `Reference`: the same, and what export measures on held-out texts

The second is among the files of every version, so that a live version brings what its traffic is compared with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from seqline.artifacts.record import Record, Schema

# As in `seqline.artifacts.request_log`, which needs pyarrow: export does without.
TOKEN_BUCKETS = 1024
SOURCES = "sources.json"
REFERENCE = "reference.json"
# A text of n tokens counts its tokens as 1/n each: in whole numbers, whose sum does not depend on the order.
WHOLE = 1 << 20


@dataclass(frozen=True)
class Sources(Record):
    """The sources of the training pairs; each text weighs the same, whatever its length.

    Attributes:
        tokens: Share of each bucket of token ids (`TOKEN_BUCKETS`).
        unknown_share: Share of the tokens that are unknown, or bytes of characters that have no token.
        source_lengths: Pairs by length of the source, in tokens.
        target_lengths: Pairs by length of the target, in tokens.
        rows: Rows that were read for the corpus, rejected ones included, without those of feedback.
        scripts: Share of a sample of the held-out texts by script.
        languages: Share of those of them whose language was identified, by language; empty if they were too few.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="tokenize again")

    tokens: list[float]
    unknown_share: float
    source_lengths: dict[int, int]
    target_lengths: dict[int, int]
    rows: int
    scripts: dict[str, float] = field(default_factory=dict)
    languages: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        weights: Mapping[int, int],
        unknown: frozenset[int],
        lengths: Mapping[str, Mapping[int, int]],
        rows: int,
    ) -> "Sources":
        """Computes the figures.

        Args:
            weights: Sum of `WHOLE` divided by the text's number of tokens, by token id.
            unknown: Ids of the unknown token and of bytes.
            lengths: Pairs by length, for "source" and "target".
            rows: Rows that were read, without those of feedback.
        """
        total = max(1, sum(weights.values()))
        buckets = [0] * TOKEN_BUCKETS
        for token, weight in weights.items():
            buckets[token % TOKEN_BUCKETS] += weight
        return cls(
            tokens=[round(weight / total, 9) for weight in buckets],
            unknown_share=round(sum(weights.get(token, 0) for token in unknown) / total, 9),
            source_lengths=dict(sorted(lengths.get("source", {}).items())),
            target_lengths=dict(sorted(lengths.get("target", {}).items())),
            rows=rows,
        )


@dataclass(frozen=True)
class Reference(Record):
    """The content of reference.json.

    Attributes:
        corpus_fingerprint: Fingerprint of the corpus.
        tokenizer: SHA-256 of the tokenizer's file: token ids of another one cannot be compared.
        source_language: Language code of the sources.
        sources: The sources of the training pairs.
        surprise: The surprise (`seqline.metrics.surprise`) that the most surprising held-out texts exceed, in bits per
            token; None if there were too few.
        unusual: Share of the held-out texts that exceed it.
        held_out: Number of held-out texts.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="export the model again, or compare without training")

    corpus_fingerprint: str
    tokenizer: str
    source_language: str
    sources: Sources
    surprise: float | None = None
    unusual: float = 0.0
    held_out: int = 0
