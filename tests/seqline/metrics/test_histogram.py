import numpy as np
import pytest

from seqline.metrics.histogram import MAX_BINS, histogram


def test_values_of_each_series_are_counted_in_shared_bins() -> None:
    assert histogram([np.array([0.0, 0.5, 1.0]), np.array([2.9, 0.0])]) == [
        ("0", [2, 1]),
        ("1", [1, 0]),
        ("2", [0, 1]),
        ("3", [0, 0]),
    ]


def test_an_outlier_is_counted_in_the_last_bin() -> None:
    bins = histogram([np.append(np.arange(200) % 40, 1000.0)])
    assert len(bins) <= MAX_BINS + 1
    assert bins[-1][0].endswith("+")
    assert sum(counts[0] for _, counts in bins) == 201


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [-3.0, 3.0]])
def test_every_value_is_counted(values: list[float]) -> None:
    assert sum(counts[0] for _, counts in histogram([np.array(values)])) == len(values)
