"""The training loop: Keras `fit`, one epoch at a time, so that it can stop and continue anywhere."""

import contextlib
import ctypes
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import UserError
from components.train.batches import Batches
from components.train.objective import Trainee
from components.train.trial import report
from components.train.working_state import WorkingState

log = logging.getLogger(__name__)


class Trainer:
    """Trains until the epochs or the minutes are used up, or validation stops improving.

    Args:
        model: The compiled model.
        train: Batches to learn from.
        valid: Batches to evaluate on after every epoch.
        state: Where the working state is kept.
        seed: Decides the order of the data.
        epochs: Passes over the data, at most.
        minutes: Training time over all continuations, at most; 0 for no limit.
        patience: Epochs without a better validation loss before it stops; 0 for no limit.
        logs: TensorBoard's folder.
        save_seconds: How often the working state is saved.
    """

    def __init__(
        self,
        model: Trainee,
        train: Batches,
        valid: Batches,
        state: WorkingState,
        seed: int,
        epochs: int,
        minutes: float,
        patience: int,
        logs: Path,
        save_seconds: float = 30.0,
    ) -> None:
        self.model, self.train_batches, self.valid_batches, self.state = model, train, valid, state
        self.seed, self.epochs, self.minutes, self.patience = seed, epochs, minutes, patience
        self.logs, self.save_seconds = logs, save_seconds
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []
        self.resumed_metrics: list[np.ndarray] = []

    def run(self) -> list[dict[str, float]]:
        """Trains, or continues to; leaves the best weights in the model.

        Returns:
            One entry an epoch.

        Raises:
            UserError: If the loss is not a number any more.
        """
        self.model.optimizer.build(self.model.trainable_variables)
        self._restore()
        writer = tf.summary.create_file_writer(str(self.logs))
        while self.epoch < self.epochs and not self._out_of_time() and not self._out_of_patience():
            self._run_epoch()
            entry = self.history[-1]
            with writer.as_default(step=self.epoch):
                for name, value in entry.items():
                    tf.summary.scalar(name, value)
            log.info("%s", describe(entry, self.epochs))
            report(self.history)
            self._save()
        writer.close()
        if self.best:
            for variable, kept in zip(self.model.trainable_variables, self.best, strict=True):
                variable.assign(kept)
        return self.history

    def _run_epoch(self) -> None:
        before = self.seconds
        averaging = keras.callbacks.SwapEMAWeights()
        # Keras shows its bar on a terminal; elsewhere the epoch's log line is enough.
        verbose = 1 if sys.stdout.isatty() else 0
        fitted = self.model.fit(
            self._dataset(self.train_batches, self.epoch, self.step),
            steps_per_epoch=len(self.train_batches) - self.step,
            initial_epoch=self.epoch,
            epochs=self.epoch + 1,
            verbose=verbose,
            callbacks=[_Watch(self)],
        )
        if self._out_of_time() and self.step < len(self.train_batches):
            log.info("the %g minutes are used up in the middle of epoch %d", self.minutes, self.epoch + 1)
        learned = {name: float(values[-1]) for name, values in fitted.history.items()}
        measured = self.model.evaluate(
            self._dataset(self.valid_batches, 0, 0),
            steps=len(self.valid_batches),
            verbose=0,
            callbacks=[averaging, _KeepBest(self)],
            return_dict=True,
        )
        spent = max(self.seconds - before, 1e-9)
        self.epoch += 1
        self.step = 0
        self.history.append(
            {
                "epoch": self.epoch,
                "loss": learned["loss"],
                "valid_loss": float(measured["nll"]),
                "valid_perplexity": math.exp(min(float(measured["nll"]), 700)),
                "valid_accuracy": float(measured["accuracy"]),
                "learning_rate": float(self.model.optimizer.learning_rate),
                "target_tokens": learned["tokens"],
                "seconds": spent,
                "tokens_per_second": learned["tokens"] / spent,
                "padding_share": self.train_batches.padding_share,
            }
        )

    def _dataset(self, batches: Batches, epoch: int, skip: int) -> tf.data.Dataset:
        ids = tf.TensorSpec((None, None), tf.int32)
        return tf.data.Dataset.from_generator(
            lambda: batches.epoch(self.seed, epoch, skip), output_signature=((ids, ids), ids)
        ).prefetch(2)

    def _out_of_time(self) -> bool:
        return bool(self.minutes) and self.seconds >= self.minutes * 60

    def _out_of_patience(self) -> bool:
        if not self.patience or not self.history:
            return False
        losses = [entry["valid_loss"] for entry in self.history]
        return len(losses) - 1 - int(np.argmin(losses)) >= self.patience

    def _save(self) -> None:
        self.state.save(
            {
                "model": [variable.numpy() for variable in self.model.variables],
                "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
                "metrics": [variable.numpy() for variable in self.model.metrics_variables],
                "best": self.best,
            },
            {"epoch": self.epoch, "step": self.step, "seconds": self.seconds, "history": self.history},
        )

    def _restore(self) -> None:
        saved = self.state.load()
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
    """Counts steps and time, saves the working state, and stops on time or on a loss that is no number."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer = trainer
        self.last = self.saved = self.told = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.trainer.step:
            # Keras has just reset them; an epoch that continues keeps what it had measured.
            for variable, value in zip(self.model.metrics_variables, self.trainer.resumed_metrics, strict=True):
                variable.assign(value)
        self.last = self.saved = self.told = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        trainer, now, logs = self.trainer, time.monotonic(), logs or {}
        if batch == 0:
            keep_freed_memory()
        trainer.step += 1
        trainer.seconds += now - self.last
        self.last = now
        if not math.isfinite(logs.get("loss", 0.0)):
            raise UserError(
                f"the loss is not a number any more at epoch {trainer.epoch + 1}, batch {trainer.step}: "
                "lower learning_rate, raise warmup_steps, or set precision to float32"
            )
        if now - self.saved > trainer.save_seconds:
            trainer._save()
            self.saved = self.last = time.monotonic()
        if now - self.told > 10:
            log.info(
                "epoch %d: batch %d of %d, loss %.3f",
                trainer.epoch + 1,
                trainer.step,
                len(trainer.train_batches),
                logs.get("loss", math.nan),
            )
            self.told = now
        if trainer._out_of_time():
            self.model.stop_training = True


class _KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the best validation loss, while the averaged weights are in place."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer = trainer

    def on_test_begin(self, logs: Any = None) -> None:
        self.weights = [variable.numpy() for variable in self.model.trainable_variables]

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        loss = float(self.model.likelihood.result())
        if loss <= min((entry["valid_loss"] for entry in self.trainer.history), default=math.inf):
            self.trainer.best = self.weights


def keep_freed_memory() -> None:
    """Lets glibc keep memory that it would give back to the kernel after every step, to fault it in at the next.

    TensorFlow's generator dataset sets the trim threshold to 128 kB when it starts (generator_dataset_op.cc), which
    costs a third of the training time; mallopt(3) sets it again.
    """
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
    return (
        f"epoch {entry['epoch']:.0f} of {epochs}: loss {entry['loss']:.3f}, valid loss {entry['valid_loss']:.3f}, "
        f"valid accuracy {entry['valid_accuracy']:.1%}, {entry['tokens_per_second']:,.0f} target tokens/s, "
        f"learning rate {entry['learning_rate']:.2g}"
    )
