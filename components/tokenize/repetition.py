"""Finding texts that repeat the same words over and over."""

import numpy as np
import pyarrow as pa

from seqline.components.tokenize.content import Mask
from seqline.components.tokenize.encoded import Ragged

_LONGEST_PHRASE = 8


def repeated(tokens: Ragged, texts: pa.StringArray, most: int) -> Mask:
    """Which texts repeat a phrase of up to eight words more than `most` times in a row.

    Repeated tokens are found in all texts at once; only texts that have them are compared word by word.

    Args:
        tokens: Token ids of the texts.
        texts: The texts.
        most: Repetitions in a row that are accepted.
    """
    rejected = np.zeros(len(tokens), bool)
    ids = tokens.ids
    for period in range(1, 2 * _LONGEST_PHRASE + 1):
        again = np.flatnonzero(ids[period:] == ids[:-period])
        rows = np.searchsorted(tokens.ends, again, "right")
        matches = np.bincount(rows[again + period < tokens.ends[rows]], minlength=len(tokens))
        for row in np.flatnonzero((matches >= most * period) & ~rejected).tolist():
            rejected[row] = _repeats(texts[row].as_py().split(), most)
    return rejected


def _repeats(words: list[str], most: int) -> bool:
    for period in range(1, _LONGEST_PHRASE + 1):
        run = 0
        for word, before in zip(words[period:], words, strict=False):
            # Repeated digits and dashes are tables, not stuttering text.
            run = run + 1 if word == before and any(map(str.isalpha, word)) else 0
            if run >= most * period:
                return True
    return False
