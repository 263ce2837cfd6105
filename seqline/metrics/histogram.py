"""Histograms of sentence scores and lengths, for reports."""

import numpy as np

MAX_BINS = 20

# For each bin its label, and the number of values in it for each series.
Histogram = list[tuple[str, list[int]]]


def histogram(series: list[np.ndarray]) -> Histogram:
    """Counts values in bins of one width.

    Args:
        series: Values of one or more series, each of shape (values,).

    Returns:
        The bins in ascending order. The last one also has everything above it.
    """
    values = np.concatenate(series)
    # The top percentile goes to the last bin: one text of a thousand words must not flatten the rest.
    low, high = np.floor(values.min()), np.ceil(np.quantile(values, 0.99))
    width = max(1, int(np.ceil((high - low) / MAX_BINS)))
    edges = low + width * np.arange(int((high - low) // width) + 1)
    counts = [
        np.bincount(np.clip((one - low) // width, 0, len(edges) - 1).astype(int), minlength=len(edges))
        for one in series
    ]
    labels = [f"{edge:g}" for edge in edges]
    if values.max() >= edges[-1] + width:
        labels[-1] += "+"
    return [(label, [int(count[index]) for count in counts]) for index, label in enumerate(labels)]
