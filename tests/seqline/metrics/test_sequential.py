"""Tests that stay valid however often somebody looks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.metrics.sequential import STAKES, Detector, evidence_of, interval, required

LIMIT = 0.1


def gains(rate: float, count: int, draws: np.random.Generator) -> np.ndarray:
    """Bets that a share is above 10%, on requests of which another share is."""
    return ((draws.random(count) < rate) - LIMIT) / LIMIT


def test_false_alarms_are_no_more_than_asked_even_right_at_the_limit() -> None:
    draws = np.random.default_rng(1)
    windows, rate = 3000, 365.0 / 40  # one false alarm in 40 windows of a day
    limit, detector, alarms = required(rate, 24, 1), Detector(), 0
    for _ in range(windows):
        detector = detector.after(gains(LIMIT, 50, draws))
        if detector.evidence >= limit:
            alarms, detector = alarms + 1, Detector()
    assert 0 < alarms <= windows / 40


def test_the_yearly_number_is_shared_by_all_tests() -> None:
    assert required(0.5, 24, 10) == pytest.approx(math.log(365 / 0.5 * 10))
    assert required(0.5, 1, 10) > required(0.5, 24, 10) > required(0.5, 24, 1)


def test_a_change_is_found_and_a_larger_one_sooner() -> None:
    def windows(rate: float) -> int:
        draws, detector = np.random.default_rng(2), Detector()
        for _ in range(30):
            detector = detector.after(gains(0.02, 100, draws))
        for window in range(100):
            detector = detector.after(gains(rate, 100, draws))
            if detector.evidence >= required(0.5, 24, 10):
                return window
        return 100

    assert windows(0.3) < windows(0.15) < 30


def test_a_few_requests_prove_nothing_however_extreme() -> None:
    assert Detector().after(np.full(3, 9.0)).evidence < required(0.5, 24, 10)
    assert evidence_of(np.full(3, 9.0)) < required(0.5, 24, 10)


def test_a_window_of_one_test_has_a_fair_bet() -> None:
    draws = np.random.default_rng(3)
    values = [math.exp(evidence_of(gains(LIMIT, 30, draws))) for _ in range(4000)]
    assert np.mean(values) < 1.15


@given(st.lists(st.floats(-1, 20), max_size=40), st.lists(st.floats(-1, 20), max_size=40))
def test_evidence_is_finite_and_windows_add_up(first: list[float], second: list[float]) -> None:
    one = Detector().after(np.array(first))
    both = one.after(np.array(second))
    assert len(both.wealth) == len(STAKES)
    assert all(map(math.isfinite, both.wealth))
    # The bet of the second window alone is one of the sum.
    assert both.evidence >= evidence_of(np.array(second)) - 1e-9


def test_intervals_hold_for_every_size_at_once() -> None:
    draws, wrong = np.random.default_rng(4), 0
    for _ in range(200):
        values = (draws.random(300) < 0.2).astype(float)
        found = [interval(values[:size], 0.0, 1.0, 0.1) for size in range(1, 300, 7)]
        wrong += any(not one.low <= 0.2 <= one.high for one in found)
        assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)
    assert wrong <= 20


def test_an_interval_shrinks_with_the_requests_and_has_the_scale_of_the_values() -> None:
    values = np.tile([-1.0, 1.0], 500)
    wide, narrow = interval(values[:20], -1, 1, 0.05), interval(values, -1, 1, 0.05)
    assert -1 <= wide.low < narrow.low < 0 == narrow.value < narrow.high < wide.high <= 1
