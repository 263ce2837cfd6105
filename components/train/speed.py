"""The speed of training, measured before what depends on it is chosen."""

import gc
import logging
import statistics
import time
from typing import Any

import keras
import tensorflow as tf

from seqline.components.train.building import build_model
from seqline.components.train.devices import several_workers
from seqline.components.train.epochs import iterators_ended
from seqline.components.train.flops import training_flops
from seqline.components.train.hardware import Hardware
from seqline.components.train.memory import estimate
from seqline.components.train.options import AUTO_OPTIONS, Options
from seqline.components.train.plan import Plan, make_plan
from seqline.components.train.recommend import ORDER
from seqline.components.train.records import TrainingData
from seqline.components.train.scale import Scale, Speed

log = logging.getLogger(__name__)

BATCHES, LEAST_BATCHES, SECONDS = 12, 3, 5.0
"""Batches that are timed, at most; and those after which the measurement ends once it has taken so many seconds."""
HOPELESS = 4
"""A preset that is estimated to be so many times too slow is not measured, unless it is the smallest."""
SHORTEST_MINUTES = 1.0
"""Time limit from which on the speed is measured."""


class MeasuredSpeed(Speed):
    """Trains a few batches with a preset and times them; the model is thrown away.

    Several devices, and steps that XLA compiles for each shape, are not measured but estimated: they take long to
    start.

    Args:
        options: Options of training, with what the task decides.
        data: The corpus and its pairs.
        hardware: The devices.
        strategy: From `choose_strategy`.
    """

    def __init__(self, options: Options, data: TrainingData, hardware: Hardware, strategy: Any) -> None:
        super().__init__(hardware.peak_flops, hardware.memory)
        self.options, self.data, self.hardware, self.strategy = options, data, hardware, strategy

    def sustained(self, preset: str) -> float:
        """Returns the FLOP/s that training with a preset sustains; 0 if it does not fit into the memory.

        Args:
            preset: The preset.

        Raises:
            UserError: If a pair cannot be read.
        """
        expected = super().sustained(preset)
        plan, scale = self._plan(preset), Scale.of(self.data.manifest)
        if not self._fits(plan):
            return 0.0
        if several_workers(self.strategy):
            return expected  # all must choose the same
        passes = scale.passes(plan.config, self.options.minutes, expected, plan.options)
        hopeless = preset != ORDER[-1] and HOPELESS * passes < scale.needed_passes(preset)
        if hopeless or not self._measurable:
            return expected
        found = self._measured(plan)
        if not found:
            log.info("preset %s ran out of memory when its speed was measured", preset)
            return 0.0
        log.info(
            "preset %s sustains %.1f GFLOP/s, %.0f%% of the matmul peak",
            preset,
            found / 1e9,
            100 * found / self.peak_flops,
        )
        return found

    @property
    def _measurable(self) -> bool:
        compiled = self.options.xla == "on" or bool(tf.config.list_logical_devices("TPU"))
        return self.options.minutes >= SHORTEST_MINUTES and self.hardware.replicas == 1 and not compiled

    def _fits(self, plan: Plan) -> bool:
        replicas, precision = self.hardware.replicas, self.hardware.precision
        parts = estimate(plan.config, plan.options, plan.train.buckets, replicas, precision)
        return not self.memory or sum(parts.values()) <= self.memory

    def _plan(self, preset: str) -> Plan:
        fields = Options.model_fields
        usual = {name: fields[name].default for name in AUTO_OPTIONS if name in self.options.undecided}
        rate = self.options.learning_rate or 0.001
        options = self.options.with_values(preset=preset, learning_rate=rate, **usual)
        return make_plan(options, self.data, self.hardware.replicas)

    def _measured(self, plan: Plan) -> float:
        """The FLOP/s of a plan; 0 if it does not fit into the memory."""
        table, clock = self.data.train.table, Clock()
        source_tokens = table.source_tokens + table.pairs
        work = training_flops(plan.config, source_tokens, plan.train.tokens, table.pairs, plan.options)
        try:
            with iterators_ended():
                self._train(plan, clock)
        except tf.errors.ResourceExhaustedError:
            return 0.0
        except tf.errors.OpError:
            if problem := plan.train.problem:
                raise problem from None
            raise
        finally:
            gc.collect()  # the model
        return clock.tokens_per_second * work / plan.train.tokens

    def _train(self, plan: Plan, clock: "Clock") -> None:
        """Trains until the clock ends it."""
        model = build_model(plan, self.hardware, self.strategy, None)
        # An epoch of one batch would time nothing but its tracing.
        batches = plan.train.dataset(self.options.seed, 0, 0).repeat()
        model.fit(batches, steps_per_epoch=BATCHES, epochs=1, verbose=0, callbacks=[clock])


class Clock(keras.callbacks.Callback):
    """Times batches, and ends the training soon. The first batch, which is traced, does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []
        self.tokens: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self.ends, self.tokens = [time.monotonic()], [0.0]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts a batch."""
        self.ends.append(time.monotonic())
        self.tokens.append(float(logs["tokens"]))
        if len(self.ends) > LEAST_BATCHES and self.ends[-1] - self.ends[1] > SECONDS:
            self.model.stop_training = True

    @property
    def tokens_per_second(self) -> float:
        """The median of the batches: others may use the machine too."""
        each = [
            (self.tokens[number] - self.tokens[number - 1]) / max(self.ends[number] - self.ends[number - 1], 1e-9)
            for number in range(1, len(self.ends))
        ]
        return statistics.median(each[1:])
