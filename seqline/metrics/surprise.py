"""How unlike the training corpus a text is: the bits per token that its tokens take in a code made for the corpus."""

import numpy as np

from seqline.metrics.divergence import Values, shares
from seqline.metrics.sequential import Floats

RARE = 0.001
"""Share of the code that is for tokens that the corpus does not have."""


def surprise(values: Values, tokens: Floats) -> Floats:
    """The surprise of each text: -log2 of its tokens' shares in the corpus, on average.

    Args:
        values: The buckets of the texts' tokens.
        tokens: The corpus's shares.
    """
    expected = (1 - RARE) * shares(tokens) + RARE / len(tokens)
    return values.means(-np.log2(expected))
