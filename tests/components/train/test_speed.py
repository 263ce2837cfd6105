"""The speed of training, measured before the preset is chosen."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.corpus import Corpus
from seqline.components.train import hardware, speed
from seqline.components.train.hardware import Hardware
from seqline.components.train.options import Options
from seqline.components.train.plan import Plan
from seqline.components.train.records import read_data
from seqline.components.train.scale import SUSTAINED
from seqline.components.train.speed import Clock, MeasuredSpeed
from seqline.components.train.trainer import Trainer
from seqline.errors import UserError

PEAK = 1e11
OPTIONS = Options(preset="auto", minutes=5, batch_tokens=256, decoded_sample=0, precision="float32")


@pytest.fixture
def speed_of(corpus: Path, small_demo: None) -> Callable[..., MeasuredSpeed]:
    def make(options: Options = OPTIONS, replicas: int = 1, memory: float = 0, data: Path = corpus) -> MeasuredSpeed:
        hardware = Hardware(replicas, "float32", PEAK, memory)
        return MeasuredSpeed(options, read_data(Corpus(data)), hardware, tf.distribute.get_strategy())

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
    preset: str,
    options: dict[str, float],
    replicas: int,
) -> None:
    found = speed_of(OPTIONS.with_values(**options), replicas).sustained(preset)
    assert found == pytest.approx(SUSTAINED * PEAK * replicas)
    assert measured == []


def test_a_preset_that_does_not_fit_into_the_memory_has_no_speed(
    speed_of: Callable[..., MeasuredSpeed], measured: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert speed_of(memory=100 << 20).sustained("demo") == 7
    assert speed_of(memory=100 << 20).sustained("big") == 0
    monkeypatch.setattr(speed, "several_workers", lambda strategy: True)
    assert speed_of(memory=100 << 20).sustained("demo") == SUSTAINED * PEAK
    assert speed_of(memory=100 << 20).sustained("big") == 0


def test_the_memory_of_workers_is_the_least_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = tf.distribute.get_strategy()
    for memories, least in (((3, 2, 0), 2), ((0, 0, 0), 0)):
        gathered = [(PEAK * worker, memory) for worker, memory in zip((1, 2, 3), memories, strict=True)]
        monkeypatch.setattr(hardware, "gather", lambda strategy, *values, found=gathered: found)
        monkeypatch.setattr(hardware, "matmul_peak", lambda *_: PEAK)
        assert hardware.measure_hardware(strategy, "float32") == Hardware(1, "float32", 2 * PEAK, least)


def test_a_preset_that_runs_out_of_memory_while_it_is_measured_has_no_speed(
    speed_of: Callable[..., MeasuredSpeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(speed, "build_model", build)
    assert speed_of().sustained("demo") == 0


def test_a_pair_that_cannot_be_read_while_the_speed_is_measured_is_one_message(
    speed_of: Callable[..., MeasuredSpeed], corpus: Path, tmp_path: Path
) -> None:
    copy = Corpus(shutil.copytree(corpus, tmp_path / "corpus"))
    found = speed_of(data=copy.path)
    for file in copy.shards("train"):
        os.truncate(copy.path / file.file, (copy.path / file.file).stat().st_size // 2)
    with pytest.raises(UserError, match="was truncated during training"):
        found.sustained("demo")


def test_an_epoch_of_one_batch_is_timed_without_its_tracing(
    speed_of: Callable[..., MeasuredSpeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks: list[Clock] = []
    monkeypatch.setattr(speed, "Clock", lambda: clocks.append(Clock()) or clocks[-1])
    found = speed_of(OPTIONS.with_values(batch_tokens=1 << 16))
    assert len(found._plan("demo").train) == 1
    assert found.sustained("demo") > 0
    (clock,) = clocks
    assert len(clock.ends) > speed.LEAST_BATCHES
    assert clock.tokens[2] == 2 * clock.tokens[1]


def test_with_r_drop_a_token_is_twice_the_work(
    speed_of: Callable[..., MeasuredSpeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeasuredSpeed, "_train", lambda self, plan, clock: None)
    monkeypatch.setattr(Clock, "tokens_per_second", 100.0)
    once, twice = (speed_of(OPTIONS.with_values(r_drop=weight)).sustained("demo") for weight in (0.0, 5.0))
    assert twice == pytest.approx(2 * once)


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
