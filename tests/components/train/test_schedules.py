from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.options import Options
from seqline.components.train.pace import Pace
from seqline.components.train.schedules import Schedule
from tests.examples import examples

KINDS = ["linear", "cosine", "inverse_square_root"]


def rates(kind: str, warmup_steps: int, updates: int) -> list[float]:
    """The rates of all updates, with a peak of 1."""
    schedule = Schedule(kind, 1.0, warmup_steps, updates)
    return [schedule.rate(update) for update in range(1, updates + 1)]


def timed(batches: int, seconds: float = 1.0, validation_seconds: float = 0.0, **options: Any) -> list[float]:
    """The rates of the batches that fit in the minutes, the first of which takes 30 s more, to be traced."""
    pace = Pace(Options(preset="tiny", learning_rate=1.0, **options), epoch_batches=1000)
    found, elapsed = [], 30.0
    for _ in range(batches):
        found.append(pace.rate())
        elapsed += seconds
        if elapsed + validation_seconds >= options["minutes"] * 60:
            break
        pace.advance(seconds + (30.0 if len(found) == 1 else 0.0), elapsed, validation_seconds)
    return found


@pytest.mark.parametrize(("kind", "end"), [("linear", 1 / 91), ("cosine", 0.0), ("inverse_square_root", 0.1**0.5)])
def test_the_rate_rises_to_its_peak_and_falls_to_its_end(kind: str, end: float) -> None:
    found = rates(kind, warmup_steps=10, updates=100)
    assert int(np.argmax(found)) == 9
    assert found[9] == pytest.approx(1.0)
    assert found[4] == pytest.approx(0.5)
    assert np.all(np.diff(found[9:]) < 0)
    assert found[99] == pytest.approx(end, abs=1e-3)


@examples(50)
@given(kind=st.sampled_from(KINDS), warmup_steps=st.integers(0, 500), updates=st.integers(1, 400))
def test_a_schedule_warms_up_in_a_tenth_of_the_updates_and_never_rises_again(
    kind: str, warmup_steps: int, updates: int
) -> None:
    found = rates(kind, warmup_steps, updates)
    assert all(0 < rate <= 1 for rate in found)
    peak = int(np.argmax(found)) + 1
    assert peak == max(1, min(warmup_steps, updates // 10))
    assert found[peak - 1] == pytest.approx(1.0)
    assert np.all(np.diff(found[peak - 1 :]) <= 0)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_minutes_that_end_first_end_the_rate_too(kind: str) -> None:
    found = timed(9999, lr_schedule=kind, minutes=10.0, epochs=1000, warmup_steps=400)
    # Half a minute goes to tracing, the rest are batches of a second.
    assert len(found) == 570
    assert found[-1] < 0.005
    assert int(np.argmax(found)) + 1 == pytest.approx(57, abs=1)
    assert max(found) > 0.95
    assert found[300] == pytest.approx(0.5 if kind == "linear" else 0.48, abs=0.05)


def test_the_rate_ends_before_the_last_validation() -> None:
    found = timed(9999, minutes=10.0, epochs=1000, validation_seconds=60.0)
    assert len(found) == 510
    assert found[-1] < 0.005


def test_epochs_that_end_first_end_the_rate() -> None:
    found = timed(1000, minutes=1000.0, epochs=1)
    assert found == pytest.approx(rates("linear", 400, 1000), abs=0.02)


def test_the_time_of_tracing_does_not_end_the_warm_up() -> None:
    assert timed(3, minutes=100.0, epochs=1000) == pytest.approx([1 / 400, 2 / 400, 3 / 400])


def test_a_batch_of_an_accumulated_update_has_the_update_s_rate() -> None:
    pace = Pace(Options(preset="tiny", learning_rate=1.0, gradient_accumulation_steps=4, epochs=1), epoch_batches=402)
    found = []
    for _ in range(400):
        found.append(pace.rate())
        pace.advance(1.0, 1.0, 0.0)
    assert found[::4] == found[3::4] == rates("linear", 400, 100)


def test_a_state_of_an_older_version_has_no_corrected_epochs() -> None:
    pace = Pace(Options(preset="tiny", learning_rate=1.0, epochs=2), 10)
    state = pace.state()
    del state["corrected"]
    pace.restore(state)
    assert pace.schedule.updates == 20


def test_a_pace_that_is_restored_continues_with_the_same_rates() -> None:
    options = Options(preset="tiny", learning_rate=1.0, minutes=5.0, epochs=1000)
    for batches in (1, 5, 200):
        paces = [Pace(options, 100) for _ in range(2)]
        for number in range(batches):
            paces[0].advance(1.0, 10.0 + number, 3.0)
        paces[1].restore(paces[0].state())
        for number in range(batches, batches + 50):
            assert paces[1].rate() == pytest.approx(paces[0].rate(), rel=1e-12)
            for pace in paces:
                pace.advance(1.0, 10.0 + number, 3.0)
