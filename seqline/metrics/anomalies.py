"""Metrics that need no reference library: length, empty, copied and unknown outputs, perplexity."""

import numpy as np

from seqline.metrics.batch import Batch
from seqline.metrics.counters import Mean, Ratio

UNKNOWN = "\N{DOUBLE QUESTION MARK}"  # SentencePiece's text for an unknown token


def _count(function: object, texts: list[str]) -> np.ndarray:
    return np.fromiter(map(function, texts), np.float64, len(texts))  # type: ignore[call-overload]


def length_ratio(language: str) -> Ratio:
    """Characters of the outputs per character of the references."""
    return Ratio(
        "characters of outputs / of references",
        lambda batch: (_count(len, batch.outputs), _count(len, batch.references)),
    )


def empty(language: str) -> Mean:
    """Share of outputs that are empty or white space."""
    return Mean("percent of outputs", lambda batch: [not text.strip() for text in batch.outputs], scale=100)


def copied(language: str) -> Mean:
    """Share of outputs that equal their source where the reference does not."""

    def is_copy(source: str, reference: str, output: str) -> bool:
        return output.strip() == source.strip() != reference.strip() and bool(output.strip())

    def value(batch: Batch) -> list[bool]:
        return [is_copy(*row) for row in zip(batch.sources, batch.references, batch.outputs, strict=True)]

    return Mean("percent of outputs|equal to the source, which the reference is not", value, scale=100)


def unknown(language: str) -> Mean:
    """Share of outputs with an unknown token."""
    return Mean(
        f"percent of outputs|with {UNKNOWN}", lambda batch: [UNKNOWN in text for text in batch.outputs], scale=100
    )


class Perplexity:
    """Perplexity of the references: the exponential of the mean negative log-probability per token."""

    columns = 2
    signature = "per token of the model's own vocabulary, end of sentence included"

    def __init__(self, language: str) -> None:
        """Takes a language like every metric, and ignores it."""

    def count(self, batch: Batch) -> np.ndarray:
        """Returns negative log-probability and number of tokens."""
        return np.asarray(batch.log_probabilities, np.float64) * [-1.0, 1.0]

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the perplexity."""
        return np.exp(sums[:, 0] / np.maximum(sums[:, 1], 1))
