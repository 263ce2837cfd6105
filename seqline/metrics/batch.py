"""A stretch of the test text with its outputs: what the metrics count."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Split = Callable[[str], list[str]]


@dataclass
class Batch:
    """Sentences that are counted together.

    Attributes:
        sources: What the model was given.
        references: The expected texts, as many.
        outputs: The model's texts, as many.
        likelihoods: Log-probability and pieces of each reference under the model, of shape (sentences, 2); None where
            the model does not say.
    """

    sources: list[str]
    references: list[str]
    outputs: list[str]
    likelihoods: np.ndarray | None = None
    _tokens: dict[Split, tuple[list[list[str]], list[list[str]]]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.outputs)

    def tokens(self, split: Split) -> tuple[list[list[str]], list[list[str]]]:
        """Tokens of outputs and of references, split once for all metrics that ask for them.

        Args:
            split: Splits a text.
        """
        if split not in self._tokens:
            self._tokens[split] = [split(text) for text in self.outputs], [split(text) for text in self.references]
        return self._tokens[split]
