"""Figures of outputs that went wrong in a way that needs no reference library: empty, copied, unknown, too long."""

import numpy as np

from seqline.metrics.batch import Batch
from seqline.metrics.counters import Mean, Ratio

UNKNOWN = "\N{DOUBLE QUESTION MARK}"  # what SentencePiece shows for a piece that it does not know


def _count(function: object, texts: list[str]) -> np.ndarray:
    return np.fromiter(map(function, texts), np.float64, len(texts))  # type: ignore[call-overload]


def length_ratio(language: str) -> Ratio:
    """Characters of the outputs for each character of the references."""
    return Ratio(
        "characters of outputs / of references",
        lambda batch: (_count(len, batch.outputs), _count(len, batch.references)),
    )


def empty(language: str) -> Mean:
    """Outputs with nothing but spaces."""
    return Mean("percent of outputs", lambda batch: [not text.strip() for text in batch.outputs], scale=100)


def copied(language: str) -> Mean:
    """Outputs that repeat their source where the reference does not."""

    def is_copy(source: str, reference: str, output: str) -> bool:
        return output.strip() == source.strip() != reference.strip() and bool(output.strip())

    def value(batch: Batch) -> list[bool]:
        return [is_copy(*row) for row in zip(batch.sources, batch.references, batch.outputs, strict=True)]

    return Mean("percent of outputs|equal to the source, which the reference is not", value, scale=100)


def unknown(language: str) -> Mean:
    """Outputs that show a piece outside of the vocabulary."""
    return Mean(
        f"percent of outputs|with {UNKNOWN}", lambda batch: [UNKNOWN in text for text in batch.outputs], scale=100
    )


class Perplexity:
    """Perplexity of the references: e to the mean negative log-probability of a piece."""

    columns = 2
    signature = "per piece of the model's own vocabulary, end of text included"

    def __init__(self, language: str) -> None:
        """Takes what every metric takes; the language makes no difference."""

    def count(self, batch: Batch) -> np.ndarray:
        """Negative log-probability, and pieces."""
        return np.asarray(batch.likelihoods, np.float64) * [-1.0, 1.0]

    def score(self, sums: np.ndarray) -> np.ndarray:
        """The perplexity."""
        return np.exp(sums[:, 0] / np.maximum(sums[:, 1], 1))
