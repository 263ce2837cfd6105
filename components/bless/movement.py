"""Movement of sentences between bands of quality: from the champion's band to the challenger's."""

import numpy as np

WIDTH = 20  # of a band; all ranking metrics range from 0 to 100
BANDS = [f"{low} to {low + WIDTH}" for low in range(0, 100, WIDTH)]


def movement(champion: np.ndarray, challenger: np.ndarray) -> list[list[int]]:
    """Counts sentences by the champion's band and the challenger's.

    Args:
        champion: The champion's score of every sentence, from 0 to 100, of shape (sentences,).
        challenger: The challenger's.

    Returns:
        A row for each band of the champion, a column for each of the challenger, in the order of `BANDS`.
    """
    rows, columns = (np.clip(scores // WIDTH, 0, len(BANDS) - 1).astype(int) for scores in (champion, challenger))
    counts = np.bincount(rows * len(BANDS) + columns, minlength=len(BANDS) ** 2)
    return [[int(count) for count in row] for row in counts.reshape(len(BANDS), len(BANDS))]
