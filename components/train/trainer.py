"""The training loop: Keras `fit`, one epoch at a time, so that it can stop and resume anywhere."""

import contextlib
import functools
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.artifacts.trial_metrics import report
from seqline.components.train.batches import Batches
from seqline.components.train.choices import Choices
from seqline.components.train.devices import gather, several_workers
from seqline.components.train.epochs import iterators_ended
from seqline.components.train.fine_tuning import frozen_checksum
from seqline.components.train.history import best_epoch, describe, may_be_best, out_of_patience
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.components.train.pace import Pace
from seqline.components.train.packing import Packs
from seqline.components.train.progress import Progress
from seqline.components.train.sample import Sample
from seqline.components.train.subwords import SampledBatches
from seqline.components.train.working_state import WorkingState
from seqline.errors import UserError
from seqline.schema.auto import number

log = logging.getLogger(__name__)


class Trainer:
    """Trains until the epochs or the minutes are used up, or validation stops improving.

    Args:
        model: The compiled model, its optimizer built.
        train: Batches to learn from.
        valid: Batches to evaluate on after every epoch.
        state: The working state.
        options: Options of training.
        resample: Makes the training batches of an epoch, given the ends of the windows that an earlier process reached;
            None if all epochs have the same.
        sample: The sample that is decoded after every epoch; None for none.
        logs: A TensorBoard folder to write while training; empty for none.
        flops_per_token: FLOP to learn from one target token, for the utilization.
        peak_flops: Peak of the devices, in FLOP/s.
        choices: What was chosen for options that were auto; the state holds it.
        chief: Whether this process saves.
        save_seconds: Seconds between saves of the working state.
        clock: The time in seconds, from any start.
    """

    def __init__(
        self,
        model: TrainingModel,
        train: Batches | Packs,
        valid: Batches | Packs,
        state: WorkingState,
        options: Options,
        resample: Callable[[Sequence[int]], SampledBatches] | None = None,
        sample: Sample | None = None,
        logs: str = "",
        flops_per_token: float = 0.0,
        peak_flops: float = 1.0,
        choices: Choices = Choices(),  # noqa: B008 (frozen)
        chief: bool = True,
        save_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.valid_batches, self.state = model, valid, state
        self.train_batches: Batches | Packs | SampledBatches = train
        self.options, self.resample, self.sample, self.logs = options, resample, sample, logs
        self.choices = choices
        self.chief, self.save_seconds, self.clock = chief, save_seconds, clock
        self.flops_per_token, self.peak_flops = flops_per_token, peak_flops
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        # The loop's time in earlier processes, its start in this one, and the longest validation so far.
        self.earlier, self.started, self.validation_seconds = 0.0, clock(), 0.0
        # XLA compiles the step for each shape of batch.
        self.pace = Pace(options, len(train), 2 * len(train.buckets) if model.jit_compile else 1)
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []
        self.resumed_metrics: list[np.ndarray] = []
        self.resumed_windows: list[int] = []
        self.terminated = self.finished = False

    def run(self) -> list[dict[str, float]]:
        """Trains, or resumes training; leaves the best weights in the model.

        Returns:
            One entry an epoch.

        Raises:
            UserError: If the loss is not a number, or another worker is lost.
            SystemExit: On SIGTERM, after the state has been saved.
        """
        self._restore()
        self.started = self.clock()
        if self.history and self.chief:
            report(self.history)
        options = self.options
        with self._saving_on_sigterm():
            while self.epoch < options.epochs and self._continues():
                try:
                    with iterators_ended():
                        self._run_epoch()
                except tf.errors.OpError as error:
                    if problem := self.train_batches.problem:
                        raise problem from None
                    if not several_workers(self.model.distribute_strategy):
                        raise
                    reason = error.message.strip().partition("\n")[0]
                    raise UserError(
                        f"training together with the other workers failed ({reason}); start all of them again: "
                        f"they continue from {self.state.folder}"
                    ) from error
                log.info("%s", describe(self.history[-1], options.epochs))
                # Saved before it is reported: an epoch that was reported is done, even after a kill.
                self.save()
                if self.chief:
                    report(self.history)
                if self.logs and self.chief:
                    self.write_logs(self.logs)
        for variable, value in zip(self.model.trainable_variables, self.best, strict=True):
            variable.assign(value)
        return self.history

    def write_logs(self, folder: str) -> None:
        """Writes the history for TensorBoard.

        Args:
            folder: The folder; local or in a bucket.
        """
        writer = tf.summary.create_file_writer(folder)
        for entry in self.history[-1:] if folder == self.logs else self.history:
            with writer.as_default(step=int(entry["epoch"])):
                for name, value in entry.items():
                    tf.summary.scalar(name, value)
        writer.close()

    def _run_epoch(self) -> None:
        if self.resample:
            self.train_batches = self.resample(self.resumed_windows)
            self.resumed_windows = []
        learned = self._learn()
        if self.resample and self.step == len(self.train_batches):
            # Before the rate is noted. A process that resumes in the validation does it again, with the same result.
            self.pace.end_epoch(self.step, self.options.epochs - self.epoch - 1)
        if self.finished and self.step < len(self.train_batches):
            log.info("the time limit of %g minutes was reached within epoch %d", self.options.minutes, self.epoch + 1)
        began = self.clock()
        with self._averaged_weights():
            measured = self.model.evaluate(
                self._dataset(self.valid_batches, 0, 0), steps=len(self.valid_batches), verbose=0, return_dict=True
            )
            # Since the epoch began, also in the process that was killed.
            spent = max(self.seconds - sum(entry["seconds"] for entry in self.history), 1e-9)
            rate = learned["tokens"] / spent
            metrics = {
                "loss": learned["loss"],
                "valid_loss": float(measured["nll"]),
                "valid_perplexity": math.exp(min(float(measured["nll"]), 700)),
                "valid_accuracy": float(measured["accuracy"]),
                "lr": self.pace.rate(),
                "target_tokens": learned["tokens"],
                "seconds": spent,
                "tokens_per_second": rate,
                "padding_share": self.train_batches.padding_share,
                "flop_utilization": rate * self.flops_per_token / self.peak_flops,
                **(self.sample.measure() if self.sample else {}),
            }
            # Decisions depend on the history, so all workers take the chief's.
            chiefs = gather(self.model.distribute_strategy, *metrics.values())[0]
            entry = {"epoch": self.epoch + 1, **dict(zip(metrics, chiefs, strict=True))}
            if self.sample and self.sample.has_more and may_be_best(self.history, entry, self.options.monitor):
                more = self.sample.measure_all()
                chiefs = gather(self.model.distribute_strategy, *more.values())[0]
                entry |= dict(zip(more, chiefs, strict=True))
            if best_epoch([*self.history, entry], self.options.monitor) == entry["epoch"]:
                self.best = [variable.numpy() for variable in self.model.trainable_variables]
        self.validation_seconds = max(self.validation_seconds, self.clock() - began)
        self.history.append(entry)
        self.epoch, self.step = self.epoch + 1, 0

    def _learn(self) -> dict[str, float]:
        """Trains to the end of the epoch, or until the time is used up.

        Returns:
            The metrics of the whole epoch, also of the part in a process that was killed.
        """
        if self.step and (self.finished or self.step == len(self.train_batches)):
            # That process was killed during the validation.
            self.restore_metrics()
            return {name: float(value) for name, value in self.model.get_metrics_result().items()}
        self.set_learning_rate()
        fitted = self.model.fit(
            self._dataset(self.train_batches, self.epoch, self.step),
            # `Progress` ends an epoch whose length is known only at its end.
            steps_per_epoch=self.train_batches.limit - self.step,
            initial_epoch=self.epoch,
            epochs=self.epoch + 1,
            verbose=0,
            callbacks=[Progress(self)],
        )
        return {name: float(values[-1]) for name, values in fitted.history.items()}

    def set_learning_rate(self) -> None:
        """Sets the learning rate of the next batch."""
        self.model.optimizer.learning_rate.assign(self.pace.rate())

    def restore_metrics(self) -> None:
        """Restores the metrics of an epoch that resumes."""
        for variable, value in zip(self.model.metrics_variables, self.resumed_metrics, strict=True):
            variable.assign(value)

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Replaces the trained weights by their average within the block."""
        if not self.options.ema_momentum:
            yield
            return
        variables = self.model.trainable_variables
        trained = [variable.numpy() for variable in variables]
        for variable, average in zip(variables, self.model.optimizer._model_variables_moving_average, strict=True):
            variable.assign(average.numpy())
        try:
            yield
        finally:
            for variable, value in zip(variables, trained, strict=True):
                variable.assign(value)

    def _dataset(self, batches: Batches | Packs | SampledBatches, epoch: int, skip: int) -> Any:
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return batches.dataset(self.options.seed, epoch, skip)

        def own_part(context: Any) -> Any:
            count = strategy.num_replicas_in_sync // context.num_input_pipelines
            return batches.dataset(self.options.seed, epoch, skip, context.input_pipeline_id * count, count)

        return strategy.distribute_datasets_from_function(own_part)

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are saved: of equal ones, the last."""
        return best_epoch(self.history, self.options.monitor)

    @property
    def elapsed(self) -> float:
        """Seconds of the whole loop, validation included, also in earlier processes."""
        return self.earlier + self.clock() - self.started

    def out_of_time(self) -> bool:
        """Whether only the time for a validation is left."""
        limit = self.options.minutes * 60
        return bool(limit) and self.elapsed + self.validation_seconds >= limit

    def _continues(self) -> bool:
        """Whether to begin another epoch, or to end one that was interrupted; the first is always validated."""
        ((self.finished,), _) = self.agreed(self.out_of_time())
        return self.step > 0 or not self.history or not (self.finished or self.out_of_patience())

    def agreed(self, *requests: bool, times: Sequence[float] = ()) -> tuple[list[bool], Sequence[float]]:
        """Agrees with the other workers, so that all do the same at the same step.

        Args:
            *requests: The requests of this worker.
            times: The times of this worker.

        Returns:
            Whether any worker makes each of the requests, and the chief's times.
        """
        workers = gather(self.model.distribute_strategy, *requests, *times)
        made = [any(values) for values in zip(*workers, strict=True)]
        return made[: len(requests)], workers[0][len(requests) :]

    def out_of_patience(self) -> bool:
        """Whether validation has stopped improving."""
        return out_of_patience(self.history, self.options.monitor, number(self.options.patience))

    @contextlib.contextmanager
    def _saving_on_sigterm(self) -> Iterator[None]:
        """Handles SIGTERM, which announces a preemption, after the current batch: save, then exit."""

        def note(number: int, frame: Any) -> None:
            self.terminated = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def save(self) -> None:
        """Saves the working state.

        All workers must call it at the same step: the chief writes, but reading a variable may involve all of them.
        """
        groups = {
            "model": [variable.numpy() for variable in self._changing()],
            "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
            "metrics": [variable.numpy() for variable in self.model.metrics_variables],
            "best": self.best,
        }
        if not self.chief:
            return
        names = ("epoch", "step", "seconds", "elapsed", "validation_seconds", "history")
        progress = {name: getattr(self, name) for name in names}
        # Behind the end of an epoch, the next one has reached none.
        windows = self.train_batches.ends if isinstance(self.train_batches, SampledBatches) and self.step else []
        progress |= {"choices": self.choices.to_dict(), "pace": self.pace.state(), "frozen": self.frozen}
        self.state.save(groups, {**progress, "windows": list(windows)})

    @functools.cached_property
    def frozen(self) -> int:
        """The checksum of the weights that are not trained."""
        return frozen_checksum(self.model.model)

    def _changing(self) -> list[Any]:
        """The variables of the model that training changes: not the weights that are frozen."""
        frozen = {id(weight) for weight in self.model.model.weights if not weight.trainable}
        return [variable for variable in self.model.variables if id(variable) not in frozen]

    def _restore(self) -> None:
        saved = self.state.load()
        position = [saved[1][name] if saved else 0 for name in ("epoch", "step", "seconds")]
        # No worker proceeds before all have read, so the chief cannot have saved another state by then.
        if len(set(gather(self.model.distribute_strategy, *position))) > 1:
            raise UserError(
                f"the workers read different states from {self.state.folder}: checkpoints must be a folder that all of "
                "them share, such as one of a bucket; or delete the folder to train from the start"
            )
        if saved is None:
            return
        groups, progress = saved
        if progress["frozen"] != self.frozen:
            raise UserError(
                f"the weights that are not trained differ from those of the working state in {self.state.folder}: the "
                "checkpoint to start from was replaced; restore it, or delete the folder to train from the start"
            )
        for variables, name in ((self._changing(), "model"), (self.model.optimizer.variables, "optimizer")):
            for variable, value in zip(variables, groups[name], strict=True):
                variable.assign(value)
        self.resumed_metrics, self.best = groups["metrics"], groups.get("best", [])
        self.epoch, self.step = progress["epoch"], progress["step"]
        self.seconds, self.history = progress["seconds"], progress["history"]
        self.earlier, self.validation_seconds = progress["elapsed"], progress["validation_seconds"]
        self.resumed_windows = progress["windows"]
        self.pace.restore(progress["pace"])
        log.info("continuing at epoch %d, batch %d", self.epoch + 1, self.step + 1)
