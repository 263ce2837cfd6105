"""What all metrics have in common: numbers of a sentence that can be added up, and a score of the sums.

Scores of the whole text, of a slice, of a bootstrap resample and of a shuffled pair of systems are then all the same
function of different sums, and no text is looked at twice.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from seqline.metrics.batch import Batch


class Counter(Protocol):
    """One metric's arithmetic.

    Attributes:
        signature: How it measures: figures are comparable only when their signatures are equal.
        columns: Numbers a sentence.
    """

    signature: str
    columns: int

    def count(self, batch: Batch) -> np.ndarray:
        """Numbers of shape (sentences, columns)."""
        ...

    def score(self, sums: np.ndarray) -> np.ndarray:
        """The figure of each row of sums, of shape (rows,)."""
        ...


class Mean:
    """The mean of one number a sentence."""

    columns = 2

    def __init__(self, signature: str, value: Callable[[Batch], "np.typing.ArrayLike"], scale: float = 1.0) -> None:
        """Takes what is averaged.

        Args:
            signature: How it measures.
            value: Gives one number a sentence.
            scale: What the mean is multiplied by: 100 where a share is told in percent.
        """
        self.signature, self._value, self._scale = signature, value, scale

    def count(self, batch: Batch) -> np.ndarray:
        """The number, and one for the sentence."""
        return np.column_stack([np.asarray(self._value(batch), np.float64), np.ones(len(batch))])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """The mean."""
        return self._scale * sums[:, 0] / np.maximum(sums[:, 1], 1)


class Ratio:
    """The ratio of two sums over the text."""

    columns = 2

    def __init__(self, signature: str, values: Callable[[Batch], tuple["np.typing.ArrayLike", "np.typing.ArrayLike"]]):
        """Takes what is divided.

        Args:
            signature: How it measures.
            values: Gives the numbers above and below the line, one each a sentence.
        """
        self.signature, self._values = signature, values

    def count(self, batch: Batch) -> np.ndarray:
        """The two numbers."""
        return np.column_stack([np.asarray(value, np.float64) for value in self._values(batch)])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """The ratio; 0 where there is nothing to divide by."""
        above, below = sums[:, 0], sums[:, 1]
        return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
