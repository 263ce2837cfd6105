"""statistics.json: what a corpus looks like, and how far the next one is from it."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import fsspec

from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

SCHEMA_VERSION = 1
QUANTILES = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Statistics:
    """What statistics.json says of the training pairs.

    Attributes:
        lengths: Pairs by length in pieces, for "source" and "target".
        ratios: Pairs by twice the rounded binary logarithm of target's to source's length.
        pieces: Occurrences of each piece, by its text, most frequent first.
        slices: Pairs of each slice, by split; empty without a slice field.
        unknown_share: Share of the pieces that are unknown, or bytes of characters that have no piece.
        rejected_share: Share of all rows that were left out.
        schema_version: Version of this layout.
    """

    lengths: dict[str, dict[int, int]]
    ratios: dict[int, int]
    pieces: dict[str, int]
    slices: dict[str, dict[str, int]]
    unknown_share: float
    rejected_share: float
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, tally: Tally, vocabulary: list[str]) -> "Statistics":
        """From the counts.

        Args:
            tally: What was counted.
            vocabulary: The text of each piece.
        """
        unknown = sum(count for piece, count in tally.pieces.items() if vocabulary[piece] == "<unk>")
        unknown += sum(count for piece, count in tally.pieces.items() if is_byte(vocabulary[piece]))
        return cls(
            lengths={side: dict(sorted(lengths.items())) for side, lengths in tally.lengths.items()},
            ratios=dict(sorted(tally.ratios.items())),
            pieces={
                vocabulary[piece]: count
                for piece, count in sorted(tally.pieces.items(), key=lambda item: (-item[1], item[0]))
            },
            slices={split: dict(sorted(slices.items())) for split, slices in sorted(tally.slices.items())},
            unknown_share=unknown / max(1, tally.pieces.total()),
            rejected_share=tally.rejected.total() / max(1, tally.read),
        )

    def to_json(self) -> str:
        """The text of statistics.json."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    def quantile(self, side: str, share: float) -> int:
        """The smallest length that at least this share of the pairs does not exceed; 0 without pairs.

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
    def read(cls, corpus: str) -> "Statistics":
        """Reads the statistics of a corpus.

        Args:
            corpus: Its folder, local or a URL.

        Raises:
            UserError: They are missing, or of another layout.
        """
        path = f"{corpus.rstrip('/')}/statistics.json"
        try:
            with fsspec.open(path, "r", encoding="utf-8") as file:
                record = json.load(file)
            if record["schema_version"] != SCHEMA_VERSION:
                raise UserError(f"previous_corpus: {path} has another schema version; leave previous_corpus empty once")
            record["lengths"] = {side: _numbers(counts) for side, counts in record["lengths"].items()}
            record["ratios"] = _numbers(record["ratios"])
            return cls(**record)
        except OSError as error:
            raise UserError(f"previous_corpus: {path} cannot be read: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"previous_corpus: {path} holds no statistics of a corpus ({error})") from None


@dataclass(frozen=True)
class Drift:
    """How far a corpus is from the one before: Jensen-Shannon distances, from 0 (the same) to 1 (nothing in common).

    Attributes:
        source_lengths: Of the sources' lengths in pieces.
        target_lengths: Of the targets' lengths.
        pieces: Of the pieces' frequencies, by their texts.
    """

    source_lengths: float
    target_lengths: float
    pieces: float

    @classmethod
    def between(cls, before: Statistics, after: Statistics) -> "Drift":
        """Compares two corpora.

        Args:
            before: The previous one.
            after: This one.
        """
        lengths = [distance(before.lengths.get(side, {}), after.lengths.get(side, {})) for side in ("source", "target")]
        return cls(*(round(value, 6) for value in (*lengths, distance(before.pieces, after.pieces))))


def distance(before: Mapping[Any, int], after: Mapping[Any, int]) -> float:
    """The Jensen-Shannon distance of two distributions: the root of their divergence, with binary logarithms.

    Args:
        before: Occurrences by value.
        after: Likewise.

    Returns:
        From 0 to 1; 1 when only one of them is empty.
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


def is_byte(piece: str) -> bool:
    """Whether a piece is one byte of a character without a piece: "<0x41>"."""
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


def _numbers(counts: dict[str, int]) -> dict[int, int]:
    return {int(number): count for number, count in counts.items()}
