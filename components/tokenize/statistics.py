"""statistics.json: the statistics of a corpus, and the drift from one corpus to the next."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.artifacts.text_tokenizer import is_unknown
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError
from seqline.inputs.storage import fsspec

QUANTILES = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Statistics(Record):
    """The content of statistics.json, of the training pairs.

    Attributes:
        lengths: Pairs by length in tokens, for "source" and "target".
        ratios: Pairs by twice the binary logarithm, rounded, of the ratio of target length to source length.
        tokens: Occurrences of each token, by its text, most frequent first.
        slices: Pairs of each slice, by split; empty without a slice field.
        unknown_share: Share of the tokens that are unknown, or bytes of characters that have no token.
        rejected_share: Share of all rows that were rejected.
        feedback_share: Share of the training pairs that are corrections from feedback.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=2, remedy="leave previous_corpus empty once", renamed={"pieces": "tokens"}
    )

    lengths: dict[str, dict[int, int]]
    ratios: dict[int, int]
    tokens: dict[str, int]
    slices: dict[str, dict[str, int]]
    unknown_share: float
    rejected_share: float
    feedback_share: float = 0.0

    @classmethod
    def of(cls, tally: Tally, vocabulary: list[str]) -> "Statistics":
        """Computes the statistics.

        Args:
            tally: The counts.
            vocabulary: The text of each token.
        """
        unknown = sum(count for token, count in tally.tokens.items() if is_unknown(vocabulary[token]))
        by_frequency = sorted(tally.tokens.items(), key=lambda item: (-item[1], item[0]))
        return cls(
            lengths={side: dict(sorted(lengths.items())) for side, lengths in tally.lengths.items()},
            ratios=dict(sorted(tally.ratios.items())),
            tokens={vocabulary[token]: count for token, count in by_frequency},
            slices={split: dict(sorted(slices.items())) for split, slices in sorted(tally.slices.items())},
            unknown_share=unknown / max(1, tally.tokens.total()),
            rejected_share=tally.rejected.total() / max(1, tally.read),
            feedback_share=tally.feedback / max(1, tally.kept["train"]),
        )

    def quantile(self, side: str, share: float) -> int:
        """Returns the smallest length that at least this share of the pairs does not exceed; 0 without pairs.

        Args:
            side: "source" or "target".
            share: Above 0, at most 1.
        """
        lengths = self.lengths.get(side, {})
        below, total = 0, sum(lengths.values())
        for length, count in sorted(lengths.items()):
            below += count
            if below >= share * total:
                return length
        return 0

    @classmethod
    def of_corpus(cls, corpus: str) -> "Statistics":
        """Reads the statistics of a previous corpus.

        Args:
            corpus: Its folder, local or a URL.

        Raises:
            UserError: They cannot be read.
        """
        path = f"{corpus.rstrip('/')}/statistics.json"
        origin = f"previous_corpus: {path}"
        try:
            with fsspec.open(path, "r", encoding="utf-8") as file:
                return cls.from_json(file.read(), origin)
        except OSError as error:
            raise UserError(f"{origin} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise UserError(f"{origin} is not a JSON object; {cls.SCHEMA.remedy}") from None


@dataclass(frozen=True)
class Drift:
    """The drift from the previous corpus: Jensen-Shannon distances, from 0 (identical) to 1 (nothing in common).

    Attributes:
        source_lengths: Of the lengths of the sources, in tokens.
        target_lengths: Of the lengths of the targets, in tokens.
        tokens: Of the frequencies of the tokens, by their texts.
    """

    source_lengths: float
    target_lengths: float
    tokens: float

    @classmethod
    def between(cls, before: Statistics, after: Statistics) -> "Drift":
        """Compares two corpora.

        Args:
            before: Statistics of the previous corpus.
            after: Statistics of this corpus.
        """
        lengths = [distance(before.lengths.get(side, {}), after.lengths.get(side, {})) for side in ("source", "target")]
        return cls(*(round(value, 6) for value in (*lengths, distance(before.tokens, after.tokens))))


def distance(before: Mapping[Any, int], after: Mapping[Any, int]) -> float:
    """Returns the Jensen-Shannon distance of two distributions: the root of the divergence, with binary logarithms.

    Args:
        before: Occurrences by value.
        after: Occurrences by value.

    Returns:
        From 0 to 1; 1 if only one of them is empty.
    """
    totals = sum(before.values()), sum(after.values())
    if not all(totals):
        return float(any(totals))
    divergence = 0.0
    for value in Counter(before) | Counter(after):
        one, other = before.get(value, 0) / totals[0], after.get(value, 0) / totals[1]
        middle = (one + other) / 2
        divergence += sum(share * math.log2(share / middle) / 2 for share in (one, other) if share)
    return math.sqrt(min(1.0, max(0.0, divergence)))
