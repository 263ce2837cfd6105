"""The training loop: Keras `fit`, one epoch at a time, so that it can stop and continue anywhere."""

import contextlib
import ctypes
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqline.artifacts.trial_metrics import report
from seqline.components.train.batches import Batches
from seqline.components.train.devices import gather, several_workers
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.components.train.packing import Packs
from seqline.components.train.sample import Sample
from seqline.components.train.working_state import WorkingState
from seqline.errors import UserError

log = logging.getLogger(__name__)


class Trainer:
    """Trains until the epochs or the minutes are used up, or validation stops improving.

    Args:
        model: The compiled model, its optimizer built.
        train: Batches to learn from.
        valid: Batches to evaluate on after every epoch.
        state: Where the working state is kept.
        options: Options of training.
        redraw: Makes the training batches of an epoch; None where all epochs have the same.
        sample: What is decoded after every epoch; None for nothing.
        logs: A TensorBoard folder to write while training; empty for none.
        flops_per_token: What learning from one target token takes, for the utilization.
        peak_flops: What the devices can do, in FLOP/s.
        chief: Whether this process saves.
        save_seconds: How often the working state is saved.
    """

    def __init__(
        self,
        model: TrainingModel,
        train: Batches | Packs,
        valid: Batches | Packs,
        state: WorkingState,
        options: Options,
        redraw: Callable[[int], Batches | Packs] | None = None,
        sample: Sample | None = None,
        logs: str = "",
        flops_per_token: float = 0.0,
        peak_flops: float = 1.0,
        chief: bool = True,
        save_seconds: float = 30.0,
    ) -> None:
        self.model, self.train_batches, self.valid_batches, self.state = model, train, valid, state
        self.options, self.redraw, self.sample, self.logs = options, redraw, sample, logs
        self.chief, self.save_seconds = chief, save_seconds
        self.flops_per_token, self.peak_flops = flops_per_token, peak_flops
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []
        self.resumed_metrics: list[np.ndarray] = []
        self.terminated = self.finished = False

    def run(self) -> list[dict[str, float]]:
        """Trains, or continues to; leaves the best weights in the model.

        Returns:
            One entry an epoch.

        Raises:
            UserError: If the loss is not a number any more, or another worker is lost.
            SystemExit: On SIGTERM, when the state has been saved.
        """
        self._restore()
        (self.finished,) = self.agreed(self.out_of_time())
        if self.history and self.chief:
            report(self.history)
        options = self.options
        with self._saving_on_sigterm():
            while self.epoch < options.epochs and not self.finished and not self.out_of_patience():
                try:
                    self._run_epoch()
                except tf.errors.OpError as error:
                    if not several_workers(self.model.distribute_strategy):
                        raise
                    reason = error.message.strip().partition("\n")[0]
                    raise UserError(
                        f"training together with the other workers failed ({reason}); start all of them again: "
                        f"they continue from {self.state.folder}"
                    ) from error
                log.info("%s", describe(self.history[-1], options.epochs))
                # Saved before it is told, so that whoever heard of an epoch finds it done, even after a kill.
                self.save()
                if self.chief:
                    report(self.history)
                if self.logs and self.chief:
                    self.write_logs(self.logs)
        for variable, kept in zip(self.model.trainable_variables, self.best, strict=True):
            variable.assign(kept)
        return self.history

    def write_logs(self, folder: str) -> None:
        """Writes the history for TensorBoard.

        Args:
            folder: Where to; local or gs://.
        """
        writer = tf.summary.create_file_writer(folder)
        for entry in self.history[-1:] if folder == self.logs else self.history:
            with writer.as_default(step=int(entry["epoch"])):
                for name, value in entry.items():
                    tf.summary.scalar(name, value)
        writer.close()

    def _run_epoch(self) -> None:
        if self.redraw:
            self.train_batches = self.redraw(self.epoch)
        fitted = self.model.fit(
            self._dataset(self.train_batches, self.epoch, self.step),
            steps_per_epoch=len(self.train_batches) - self.step,
            initial_epoch=self.epoch,
            epochs=self.epoch + 1,
            verbose=0,
            callbacks=[_Watch(self)],
        )
        if self.finished and self.step < len(self.train_batches):
            log.info("the %g minutes are used up in the middle of epoch %d", self.options.minutes, self.epoch + 1)
        learned = {name: float(values[-1]) for name, values in fitted.history.items()}
        with self._averaged_weights():
            measured = self.model.evaluate(
                self._dataset(self.valid_batches, 0, 0), steps=len(self.valid_batches), verbose=0, return_dict=True
            )
            # Since the epoch began, also where it was continued.
            spent = max(self.seconds - sum(entry["seconds"] for entry in self.history), 1e-9)
            rate = learned["tokens"] / spent
            figures = {
                "loss": learned["loss"],
                "valid_loss": float(measured["nll"]),
                "valid_perplexity": math.exp(min(float(measured["nll"]), 700)),
                "valid_accuracy": float(measured["accuracy"]),
                "learning_rate": float(self.model.optimizer.learning_rate),
                "target_tokens": learned["tokens"],
                "seconds": spent,
                "tokens_per_second": rate,
                "padding_share": self.train_batches.padding_share,
                "flop_utilization": rate * self.flops_per_token / self.peak_flops,
                **(self.sample.measure() if self.sample else {}),
            }
            # Decisions follow from the history: those of all workers from the chief's.
            told = gather(self.model.distribute_strategy, *figures.values())[0]
            entry = {"epoch": self.epoch + 1, **dict(zip(figures, told, strict=True))}
            if not self.history or self._score(entry) >= max(map(self._score, self.history)):
                self.best = [variable.numpy() for variable in self.model.trainable_variables]
        self.history.append(entry)
        self.epoch, self.step = self.epoch + 1, 0

    def _score(self, entry: dict[str, float]) -> float:
        """The monitored figure of an epoch; higher is better."""
        value = entry[f"valid_{self.options.monitor}"]
        return -value if self.options.monitor in ("loss", "perplexity") else value

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Puts the averaged weights in the place of the trained ones, for a while."""
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

    def _dataset(self, batches: Batches | Packs, epoch: int, skip: int) -> Any:
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return batches.dataset(self.options.seed, epoch, skip)

        def mine(context: Any) -> Any:
            count = strategy.num_replicas_in_sync // context.num_input_pipelines
            return batches.dataset(self.options.seed, epoch, skip, context.input_pipeline_id * count, count)

        return strategy.distribute_datasets_from_function(mine)

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept: of equals, the last."""
        return int(max(self.history, key=lambda entry: (self._score(entry), entry["epoch"]))["epoch"])

    def out_of_time(self) -> bool:
        """Whether the minutes are used up."""
        return bool(self.options.minutes) and self.seconds >= self.options.minutes * 60

    def agreed(self, *wanted: bool) -> tuple[bool, ...]:
        """Which of some things one worker or more wants, so that all do them at the same step.

        Args:
            *wanted: Whether this one does.
        """
        return tuple(any(wishes) for wishes in zip(*gather(self.model.distribute_strategy, *wanted), strict=True))

    def out_of_patience(self) -> bool:
        """Whether the last epochs were no better than one before them."""
        if not self.options.patience or not self.history:
            return False
        scores = [self._score(entry) for entry in self.history]
        return len(scores) - 1 - int(np.argmax(scores)) >= self.options.patience

    @contextlib.contextmanager
    def _saving_on_sigterm(self) -> Iterator[None]:
        """Has SIGTERM, which announces a preemption, answered after the batch: save, then leave."""

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
        """Saves the working state. All workers must call it at the same step: the chief writes what it asks of all."""
        groups = {
            "model": [variable.numpy() for variable in self.model.variables],
            "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
            "metrics": [variable.numpy() for variable in self.model.metrics_variables],
            "best": self.best,
        }
        if not self.chief:
            return
        names = ("epoch", "step", "seconds", "history")
        self.state.save(groups, {name: getattr(self, name) for name in names})

    def _restore(self) -> None:
        saved = self.state.load()
        place = [saved[1][name] if saved else 0 for name in ("epoch", "step", "seconds")]
        # No worker goes on before all have read, so the chief cannot have saved another state by then.
        if len(set(gather(self.model.distribute_strategy, *place))) > 1:
            raise UserError(
                f"the workers find different working states in {self.state.folder}: checkpoints must be a folder that "
                "all of them share, such as one of a bucket; or delete what is there to train from the start"
            )
        if saved is None:
            return
        groups, progress = saved
        for variables, name in ((self.model.variables, "model"), (self.model.optimizer.variables, "optimizer")):
            for variable, value in zip(variables, groups[name], strict=True):
                variable.assign(value)
        self.resumed_metrics, self.best = groups["metrics"], groups.get("best", [])
        self.epoch, self.step = progress["epoch"], progress["step"]
        self.seconds, self.history = progress["seconds"], progress["history"]
        log.info("continuing at epoch %d, batch %d", self.epoch + 1, self.step + 1)


class _Watch(keras.callbacks.Callback):
    """Counts steps and time, shows them, saves the working state, and stops on time or on a loss that is no number."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer = trainer
        self.last = self.saved = self.told = self.began = time.monotonic()
        self.first_step, self.first_tokens = trainer.step, 0.0
        self.bar = (
            keras.utils.Progbar(len(trainer.train_batches), stateful_metrics=["loss", "tokens/s"])
            if sys.stdout.isatty()
            else None
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.trainer.step:
            # Keras has just reset them; an epoch that continues keeps what it had measured.
            for variable, value in zip(self.model.metrics_variables, self.trainer.resumed_metrics, strict=True):
                variable.assign(value)
            self.first_tokens = float(self.model.tokens.result())
        if self.bar is not None:
            print(f"Epoch {epoch + 1} of {self.trainer.options.epochs}")
        self.last = self.saved = self.told = self.began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        trainer, now, logs = self.trainer, time.monotonic(), logs or {}
        if batch == 0:
            keep_freed_memory()
        trainer.step += 1
        trainer.seconds += now - self.last
        self.last = now
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is not a number any more at epoch {trainer.epoch + 1}, batch {trainer.step}: "
                "lower learning_rate, raise warmup_steps, or set precision to float32"
            )
        wanted = trainer.terminated, now - self.saved > trainer.save_seconds, trainer.out_of_time()
        terminated, due, over = trainer.agreed(*wanted)
        if terminated:
            trainer.save()
            if self.bar is not None:
                print()
            log.info("terminated: saved at epoch %d, batch %d; run again to continue", trainer.epoch + 1, trainer.step)
            raise SystemExit(128 + signal.SIGTERM)
        if due:
            trainer.save()
            self.saved = self.last = time.monotonic()
        # A step tells the mean of the replicas.
        tokens = float(logs.get("tokens", 0.0)) * self.model.distribute_strategy.num_replicas_in_sync
        ends = over or trainer.step == len(trainer.train_batches)
        self._show(loss, (tokens - self.first_tokens) / max(now - self.began, 1e-9), now, ends)
        if over:
            trainer.finished = True
            self.model.stop_training = True

    def _show(self, loss: float, rate: float, now: float, ends: bool) -> None:
        trainer, batches = self.trainer, len(self.trainer.train_batches)
        if self.bar is not None:
            self.bar.update(trainer.step, [("loss", loss), ("tokens/s", rate)], finalize=ends)
        elif now - self.told > 10:
            left = (now - self.began) / (trainer.step - self.first_step) * (batches - trainer.step)
            log.info(
                "epoch %d: batch %d of %d, loss %.3f, %s target tokens/s, %.0f s left of the epoch",
                trainer.epoch + 1,
                trainer.step,
                batches,
                loss,
                f"{rate:,.0f}",
                left,
            )
            self.told = now


def keep_freed_memory() -> None:
    """Lets glibc keep memory that it would give back to the kernel after every step, to fault it in at the next."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
        libc.mallopt(trim_threshold, 1 << 30)
        libc.mallopt(mmap_threshold, 32 << 20)  # the largest that glibc takes


def describe(entry: dict[str, float], epochs: int) -> str:
    """Puts an epoch's figures in a line.

    Args:
        entry: An entry of the history.
        epochs: How many there may be.
    """
    bleu = f"BLEU {entry['valid_bleu']:.1f}, " if "valid_bleu" in entry else ""
    return (
        f"epoch {entry['epoch']:.0f} of {epochs}: loss {entry['loss']:.3f}, valid loss {entry['valid_loss']:.3f}, "
        f"valid accuracy {entry['valid_accuracy']:.1%}, {bleu}{entry['tokens_per_second']:,.0f} target tokens/s, "
        f"{entry['flop_utilization']:.0%} of the matmul peak, learning rate {entry['learning_rate']:.2g}"
    )
