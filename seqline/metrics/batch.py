"""A chunk of the test set with the model's outputs."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Split = Callable[[str], list[str]]


@dataclass
class Batch:
    """Sentences that are counted together.

    Attributes:
        sources: The model's inputs.
        references: The expected outputs, as many.
        outputs: The model's outputs, as many.
        log_probabilities: Log-probability and number of tokens of each reference under the model, of shape
            (sentences, 2); None where the model does not score references.
    """

    sources: list[str]
    references: list[str]
    outputs: list[str]
    log_probabilities: np.ndarray | None = None
    _tokens: dict[Split, tuple[list[list[str]], list[list[str]]]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.outputs)

    def tokens(self, split: Split) -> tuple[list[list[str]], list[list[str]]]:
        """Returns the tokens of outputs and references, split once for all metrics that share a tokenizer.

        Args:
            split: The tokenizer.
        """
        if split not in self._tokens:
            self._tokens[split] = [split(text) for text in self.outputs], [split(text) for text in self.references]
        return self._tokens[split]
