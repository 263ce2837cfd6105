"""Positions of tokens: encodings that are added to embeddings, rotations of queries and keys, and distances."""

from typing import Any

import numpy as np
from keras import ops

from seqline.modeling.config import TransformerConfig


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


def rotations(config: TransformerConfig, length: int) -> np.ndarray:
    """The encodings for `rotate`.

    Args:
        config: The model's configuration.
        length: Number of positions.

    Returns:
        float32 `[length, size of a head]`.
    """
    half = config.head_size // 2
    frequencies = np.exp(-np.log(config.rope_theta) * np.arange(half) / half)
    scaling = config.rope_scaling
    if scaling is not None:
        slow = frequencies / scaling.factor
        if scaling.kind == "linear":
            frequencies = slow
        else:
            turns = scaling.original_max_length * frequencies / (2 * np.pi)
            low, high = scaling.low_freq_factor, scaling.high_freq_factor
            share = np.clip((turns - low) / (high - low), 0, 1)
            frequencies = share * frequencies + (1 - share) * slow
    angles = np.arange(length)[:, None] * frequencies[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def distance_buckets(config: TransformerConfig, length: int, both: bool) -> np.ndarray:
    """The bucket of each distance from a query back to a key (Raffel et al. 2020, section 2.1).

    Half of the buckets hold one distance each; the others widen with the logarithm up to the largest distance.

    Args:
        config: The model's configuration.
        length: Number of positions.
        both: Whether queries see later keys too; half of the buckets are for these then.

    Returns:
        int32 `[2 * length - 1]`: of the distances `1 - length` to `length - 1`, negative where the key is later.
    """
    distances = np.arange(1 - length, length)
    buckets = config.relative_buckets // (2 if both else 1)
    later = np.where(distances < 0, buckets, 0) if both else 0
    distances = np.abs(distances) if both else np.maximum(distances, 0)
    exact = buckets // 2
    # In float32, as the original: a distance at the edge of two buckets gets the same one.
    far = np.log(np.maximum(distances, 1).astype(np.float32) / np.float32(exact))
    far = far / np.float32(np.log(config.relative_max_distance / exact)) * np.float32(buckets - exact)
    wide = np.minimum(exact + far.astype(np.int32), buckets - 1)
    return (later + np.where(distances < exact, distances, wide)).astype(np.int32)


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
