"""Numbers of draws of the tests of significance: sacreBLEU's defaults.

They are apart from `seqline.metrics.resampling`, which needs NumPy: reading a rule does not.
"""

RESAMPLES, TRIALS = 1000, 10_000
DRAWS = {"bootstrap": RESAMPLES, "randomization": TRIALS}


def smallest_p_value(test: str) -> float:
    """Returns the smallest p-value that a test can show.

    Args:
        test: bootstrap or randomization.
    """
    return 1 / (DRAWS[test] + 1)
