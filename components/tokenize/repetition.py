"""Finding texts that say the same words over and over."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqline.components.tokenize.examples import Ragged

_LONGEST_PHRASE = 8


def repeated(pieces: Ragged, texts: pa.StringArray, most: int) -> npt.NDArray[np.bool_]:
    """Which texts say a phrase of up to eight words more than `most` times in a row.

    Repeated pieces are found for all texts at once; only texts that have them are looked at word by word.

    Args:
        pieces: Piece ids of the texts.
        texts: The texts.
        most: How often is not too often.
    """
    rejected = np.zeros(len(pieces), bool)
    ids = pieces.ids
    for period in range(1, 2 * _LONGEST_PHRASE + 1):
        again = np.flatnonzero(ids[period:] == ids[:-period])
        rows = np.searchsorted(pieces.ends, again, "right")
        matches = np.bincount(rows[again + period < pieces.ends[rows]], minlength=len(pieces))
        for row in np.flatnonzero((matches >= most * period) & ~rejected).tolist():
            rejected[row] = _repeats(texts[row].as_py().split(), most)
    return rejected


def _repeats(words: list[str], most: int) -> bool:
    for period in range(1, _LONGEST_PHRASE + 1):
        run = 0
        for word, before in zip(words[period:], words, strict=False):
            # Rows of digits and dashes are tables, not stammering.
            run = run + 1 if word == before and any(map(str.isalpha, word)) else 0
            if run >= most * period:
                return True
    return False
