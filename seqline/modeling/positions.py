"""Positions of tokens: encodings that are added to embeddings, and rotations of queries and keys."""

from typing import Any

import numpy as np
from keras import ops


def sinusoids(length: int, size: int) -> np.ndarray:
    """Position encodings (Vaswani et al. 2017, section 3.5), sines in the first half and cosines in the second.

    Args:
        length: Number of positions.
        size: Size of each encoding; even.

    Returns:
        float32 `[length, size]`.
    """
    angles = np.arange(length)[:, None] * np.exp(-np.log(10000.0) * np.arange(size // 2) / (size // 2))[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def rotate(states: Any, encodings: Any) -> Any:
    """Rotates each pair of a query's or key's features by an angle that grows with the position (Su et al. 2021).

    Args:
        states: `[..., length, size]`; a pair is one feature of the first half and one of the second.
        encodings: `sinusoids` of `size`, `[..., length, size]`, that broadcast against the states.

    Returns:
        `[..., length, size]`.
    """
    sine, cosine = ops.split(ops.cast(encodings, states.dtype), 2, axis=-1)
    one, other = ops.split(states, 2, axis=-1)
    return ops.concatenate([one * cosine - other * sine, one * sine + other * cosine], axis=-1)
