"""The interface of metrics: counts per sentence that can be summed, and a score of the sums.

Scores of the whole test set, a slice, a bootstrap resample and a shuffled pair of systems are then the same function of
different sums, and each text is processed once.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from seqline.metrics.batch import Batch


class Counter(Protocol):
    """One metric's arithmetic.

    Attributes:
        signature: How it measures: values are comparable only when their signatures are equal.
        columns: Counts per sentence.
    """

    signature: str
    columns: int

    def count(self, batch: Batch) -> np.ndarray:
        """Returns the counts, of shape (sentences, columns)."""
        ...

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the value for each row of sums, of shape (rows,)."""
        ...


class Mean:
    """The mean of one number per sentence."""

    columns = 2

    def __init__(self, signature: str, value: Callable[[Batch], "np.typing.ArrayLike"], scale: float = 1.0) -> None:
        """Sets the number to average.

        Args:
            signature: How it measures.
            value: Returns one number per sentence.
            scale: Factor of the mean: 100 for percent.
        """
        self.signature, self._value, self._scale = signature, value, scale

    def count(self, batch: Batch) -> np.ndarray:
        """Returns the number, and 1, for each sentence."""
        return np.column_stack([np.asarray(self._value(batch), np.float64), np.ones(len(batch))])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the mean."""
        return self._scale * sums[:, 0] / np.maximum(sums[:, 1], 1)


class Ratio:
    """The ratio of two sums."""

    columns = 2

    def __init__(self, signature: str, values: Callable[[Batch], tuple["np.typing.ArrayLike", "np.typing.ArrayLike"]]):
        """Sets the numbers to divide.

        Args:
            signature: How it measures.
            values: Returns numerator and denominator, one each per sentence.
        """
        self.signature, self._values = signature, values

    def count(self, batch: Batch) -> np.ndarray:
        """Returns numerator and denominator of each sentence."""
        return np.column_stack([np.asarray(value, np.float64) for value in self._values(batch)])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the ratio; 0 where the denominator is 0."""
        numerator, denominator = sums[:, 0], sums[:, 1]
        return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
