"""The lexicon that a shortlist is made of."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lexicon:
    """Tokens that outputs have.

    Attributes:
        frequent: Tokens that any output may have, int32 `[n]`; the end is one of them.
        linked: For each token of a source, other tokens that its outputs may have, int32 `[vocabulary, m]`; in unused
            places, the size of the vocabulary.
    """

    frequent: np.ndarray
    linked: np.ndarray
