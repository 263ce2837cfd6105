"""What options that are auto become."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train import formulas
from seqline.components.train.options import Options
from seqline.components.train.schedules import WARMUP_SHARE

TOKENS = st.floats(1, 1e10)
PASSES = st.floats(0, 1e4)
UPDATES = st.floats(0, 1e7)
UPDATE_TOKENS = st.floats(1, 1e6)
FACTOR = st.floats(1, 1e3)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (formulas.batch_tokens(100_000), 1024),
        (formulas.batch_tokens(2_000_000), 2000),
        (formulas.batch_tokens(9_000_000), 4096),
        (formulas.dropout(430_000, 40), 0.3),
        (formulas.dropout(4_000_000, 40), 0.275),
        (formulas.dropout(100_000_000, 40), 0.1),
        (formulas.dropout(10_000_000_000, 40), 0.05),
        (formulas.dropout(430_000, 10), 0.075),
        (formulas.dropout(430_000, 1, least=0.05), 0.05),
        (formulas.dropout(430_000, 10, least=0.05), 0.075),
        (formulas.label_smoothing(2), 0.0),
        (formulas.label_smoothing(7), 0.05),
        (formulas.label_smoothing(15), 0.1),
        (formulas.learning_rate(128, 4096), 0.00391),
        (formulas.learning_rate(256, 4096), 0.00195),
        (formulas.learning_rate(512, 9999), 0.000977),
        (formulas.learning_rate(128, 256), 0.000977),
        (formulas.beta_2(999), 0.995),
        (formulas.beta_2(1000), 0.98),
        (formulas.warmup_steps(100, 0.98), 10),
        (formulas.warmup_steps(1100, 0.98), 100),
        (formulas.warmup_steps(5000, 0.98), 400),
        (formulas.warmup_steps(4000, 0.995), 400),
        (formulas.warmup_steps(1_000_000, 0.98), 4000),
        (formulas.ema_momentum(50), 0.9),
        (formulas.ema_momentum(2000), 0.995),
        (formulas.ema_momentum(10**6), 0.999),
        (formulas.patience(3), 5),
        (formulas.patience(100), 25),
    ],
)
def test_examples(found: float, expected: float) -> None:
    assert found == expected


@given(tokens=TOKENS, passes=PASSES, factor=FACTOR)
def test_dropout_falls_with_the_data_and_rises_with_the_passes(tokens: float, passes: float, factor: float) -> None:
    value = formulas.dropout(tokens, passes)
    assert 0 <= value <= 0.3
    assert formulas.dropout(tokens * factor, passes) <= value <= formulas.dropout(tokens, passes * factor)


@given(mean=st.floats(1, 1000), factor=FACTOR)
def test_longer_targets_are_smoothed_more(mean: float, factor: float) -> None:
    assert 0 <= formulas.label_smoothing(mean) <= formulas.label_smoothing(mean * factor) <= 0.1


@given(width=st.integers(8, 8192), tokens=UPDATE_TOKENS, factor=FACTOR)
def test_the_rate_rises_with_the_update_and_falls_with_the_width(width: int, tokens: float, factor: float) -> None:
    value = formulas.learning_rate(width, tokens)
    assert 0 < value <= formulas.learning_rate(width, tokens * factor)
    assert formulas.learning_rate(math.ceil(width * factor), tokens) <= value
    assert value <= 0.51 / width


@given(tokens=UPDATE_TOKENS, factor=FACTOR)
def test_smaller_updates_are_averaged_over_more_of_them(tokens: float, factor: float) -> None:
    assert formulas.beta_2(tokens) >= formulas.beta_2(tokens * factor)


@given(updates=UPDATES, beta_2=st.sampled_from([0.9, 0.98, 0.995, 0.999]), factor=FACTOR)
def test_the_warm_up_grows_with_the_training_and_takes_no_more_than_the_schedule_allows(
    updates: float, beta_2: float, factor: float
) -> None:
    steps = formulas.warmup_steps(updates, beta_2)
    assert 0 <= steps <= min(formulas.LONGEST_WARMUP, WARMUP_SHARE * updates + 1)
    assert steps <= formulas.warmup_steps(updates * factor, beta_2)


@given(updates=UPDATES, factor=FACTOR)
def test_the_average_grows_with_the_training_up_to_a_limit(updates: float, factor: float) -> None:
    assert 0.9 <= formulas.ema_momentum(updates) <= formulas.ema_momentum(updates * factor) <= 0.999


@given(passes=PASSES, factor=FACTOR)
def test_a_longer_training_has_more_patience(passes: float, factor: float) -> None:
    assert 5 <= formulas.patience(passes) <= formulas.patience(passes * factor)


@given(tokens=TOKENS, passes=PASSES, updates=UPDATES, update=UPDATE_TOKENS)
def test_every_value_is_one_that_the_option_accepts(
    tokens: float, passes: float, updates: float, update: float
) -> None:
    choose: dict[str, Callable[[], float]] = {
        "batch_tokens": lambda: formulas.batch_tokens(tokens * passes),
        "dropout": lambda: formulas.dropout(tokens, passes),
        "label_smoothing": lambda: formulas.label_smoothing(update),
        "learning_rate": lambda: formulas.learning_rate(128, update),
        "beta_2": lambda: formulas.beta_2(update),
        "warmup_steps": lambda: formulas.warmup_steps(updates, formulas.beta_2(update)),
        "ema_momentum": lambda: formulas.ema_momentum(updates),
        "patience": lambda: formulas.patience(passes),
    }
    values = {name: function() for name, function in choose.items()}
    assert {name: getattr(Options(**values), name) for name in values} == values  # type: ignore[arg-type]
