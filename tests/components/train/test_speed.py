"""The speed of training, measured before the preset is chosen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.corpus import Corpus
from seqline.components.train import speed
from seqline.components.train.hardware import Hardware
from seqline.components.train.options import Options
from seqline.components.train.plan import Plan
from seqline.components.train.records import read_data
from seqline.components.train.scale import SUSTAINED
from seqline.components.train.speed import Clock, MeasuredSpeed
from seqline.components.train.trainer import Trainer

PEAK = 1e11
OPTIONS = Options(preset="auto", minutes=5, batch_tokens=256, decoded_sample=0, precision="float32")


@pytest.fixture
def speed_of(corpus: Path, small_demo: None) -> Callable[..., MeasuredSpeed]:
    def make(options: Options = OPTIONS, replicas: int = 1) -> MeasuredSpeed:
        data = read_data(Corpus(corpus))
        return MeasuredSpeed(options, data, Hardware(replicas, "float32", PEAK), tf.distribute.get_strategy())

    return make


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that are measured; each at 7 FLOP/s."""
    plans: list[Plan] = []

    def measure(_: MeasuredSpeed, plan: Plan) -> float:
        plans.append(plan)
        return 7.0

    monkeypatch.setattr(MeasuredSpeed, "_measured", measure)
    return plans


def test_the_speed_is_that_of_steps_of_the_preset(speed_of: Callable[..., MeasuredSpeed]) -> None:
    found = speed_of().sustained("demo")
    assert 0 < found < np.inf
    assert found != SUSTAINED * PEAK


def test_what_is_auto_has_its_usual_value_while_it_is_measured(
    speed_of: Callable[..., MeasuredSpeed], measured: list[Plan]
) -> None:
    assert speed_of(OPTIONS.with_values(dropout=0.3)).sustained("demo") == 7
    (plan,) = measured
    assert (plan.options.preset, plan.options.dropout, plan.options.label_smoothing) == ("demo", 0.3, 0.1)


@pytest.mark.parametrize(
    ("preset", "options", "replicas"),
    [
        ("demo", {"minutes": 0.0}, 1),
        ("demo", {"minutes": 0.5}, 1),
        ("demo", {"xla": "on"}, 1),
        ("demo", {}, 8),
        ("big", {"minutes": 1.0}, 1),
    ],
    ids=["no limit", "short", "compiled", "several devices", "hopeless"],
)
def test_where_it_cannot_be_measured_soon_it_is_estimated(
    speed_of: Callable[..., MeasuredSpeed],
    measured: list[Plan],
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    options: dict[str, float],
    replicas: int,
) -> None:
    monkeypatch.setattr(speed, "device_memory", lambda: (0, "an unknown device"))
    found = speed_of(OPTIONS.with_values(**options), replicas).sustained(preset)
    assert found == pytest.approx(SUSTAINED * PEAK * replicas)
    assert measured == []


def test_a_preset_that_does_not_fit_into_the_memory_has_no_speed(
    speed_of: Callable[..., MeasuredSpeed], measured: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "device_memory", lambda: (100 << 20, "this machine"))
    assert speed_of().sustained("demo") == 7
    assert speed_of().sustained("big") == 0


def test_the_clock_takes_the_median_without_the_batch_that_was_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    clock.set_model(type("Model", (), {"stop_training": False})())
    times = iter([0.0, 9.0, 10.0, 11.0, 19.0])
    monkeypatch.setattr(speed.time, "monotonic", lambda: next(times))
    clock.on_train_begin()
    stopped = []
    for batch in range(4):
        clock.on_train_batch_end(batch, {"tokens": 100.0 * (batch + 1)})
        stopped.append(clock.model.stop_training)
    assert clock.tokens_per_second == 100
    assert stopped == [False, False, False, True]


def test_a_measurement_leaves_the_training_as_it_is(
    corpus: Path, begin: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = OPTIONS.with_values(preset="demo")
    with_probe = begin(corpus, tmp_path / "one", options=options)
    without = begin(corpus, tmp_path / "two", options=Options(**with_probe.options.model_dump()))
    for one, other in zip(with_probe.model.weights, without.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
