"""The callback of the training loop: counts steps and time, shows them, saves, and stops."""

import logging
import math
import signal
import sys
from typing import TYPE_CHECKING, Any

import keras

from seqline import progress
from seqline.components.train.position import position
from seqline.errors import UserError
from seqline.freed_memory import keep_freed_memory

if TYPE_CHECKING:
    from seqline.components.train.trainer import Trainer

log = logging.getLogger(__name__)

LOG_SECONDS = 10


class Progress(keras.callbacks.Callback):
    """Counts steps and time, shows progress, saves the working state, and stops on time or on a loss that is NaN.

    Args:
        trainer: The trainer whose epoch it follows.
    """

    def __init__(self, trainer: "Trainer") -> None:
        super().__init__()
        self.trainer = trainer
        self.last = self.saved = self.logged = self.began = trainer.clock()
        self.first_step, self.first_tokens = trainer.step, 0.0
        self.bar = (
            keras.utils.Progbar(len(trainer.train_batches), stateful_metrics=["loss", "tokens/s"])
            if sys.stdout.isatty()
            else None
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores the metrics of an epoch that resumes."""
        if self.trainer.step:
            # Keras has just reset them.
            self.trainer.restore_metrics()
            self.first_tokens = float(self.model.tokens.result())
        if self.bar is not None:
            print(f"Epoch {epoch + 1} of {self.trainer.options.epochs}")
        self.last = self.saved = self.logged = self.began = self.trainer.clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Handles the end of a step."""
        trainer, now, logs = self.trainer, self.trainer.clock(), logs or {}
        if batch == 0:
            keep_freed_memory()
        trainer.step += 1
        seconds, self.last = now - self.last, now
        trainer.seconds += seconds
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is not a number at epoch {trainer.epoch + 1}, batch {trainer.step}: "
                "lower the learning rate, lengthen the warm-up, or set precision to float32"
            )
        requests = trainer.terminated, now - self.saved > trainer.save_seconds, trainer.out_of_time()
        times = seconds, trainer.elapsed, trainer.validation_seconds
        (terminated, due, over), chiefs = trainer.agreed(*requests, times=times)
        trainer.pace.advance(*chiefs)
        trainer.set_learning_rate()
        if terminated:
            trainer.save()
            if self.bar is not None:
                print()
            log.info("terminated: saved at epoch %d, batch %d; run again to continue", trainer.epoch + 1, trainer.step)
            raise SystemExit(128 + signal.SIGTERM)
        if due:
            trainer.save()
            self.saved = self.last = trainer.clock()
        # A step returns the mean of the replicas.
        tokens = float(logs.get("tokens", 0.0)) * self.model.distribute_strategy.num_replicas_in_sync
        ends = over or trainer.step == len(trainer.train_batches)
        self._show(loss, (tokens - self.first_tokens) / max(now - self.began, 1e-9), now, ends)
        trainer.finished |= over
        if over or ends:
            self.model.stop_training = True

    def _show(self, loss: float, rate: float, now: float, ends: bool) -> None:
        trainer, batches = self.trainer, len(self.trainer.train_batches)
        if trainer.chief:
            progress.report(lambda: position(trainer, loss, rate))
        if self.bar is not None:
            self.bar.update(trainer.step, [("loss", loss), ("tokens/s", rate)], finalize=ends)
        elif now - self.logged > LOG_SECONDS:
            remaining = (now - self.began) / (trainer.step - self.first_step) * (batches - trainer.step)
            log.info(
                "epoch %d: batch %d of %d, loss %.3f, %s target tokens/s, %.0f s left of the epoch",
                trainer.epoch + 1,
                trainer.step,
                batches,
                loss,
                f"{rate:,.0f}",
                remaining,
            )
            self.logged = now
