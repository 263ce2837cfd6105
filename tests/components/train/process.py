"""A training process with a small `demo`.

    python -m tests.components.train.process CORPUS FOLDER OPTIONS [SIGNAL EPOCH BATCH]

It writes FOLDER/checkpoint, and its working states in FOLDER/states. With a signal it saves after every batch, and
sends the signal to itself after one of them, just before that is saved. MIRRORED=1 makes it train on two devices;
WARM_START is the checkpoint that it starts from.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqline.components.train import devices
from seqline.components.train.options import Options
from seqline.components.train.progress import Progress
from seqline.components.train.stage import train
from seqline.modeling.config import PRESETS
from tests.components.train.small import SMALL


def kill_at(number: int, epoch: int, batch: int) -> None:
    """Has this process send itself a signal after a batch; both count from 1."""
    end_of_batch = Progress.on_train_batch_end

    def end_or_kill(self: Progress, index: int, logs: Any = None) -> None:
        self.trainer.save_seconds = -1.0
        if (self.trainer.epoch + 1, self.trainer.step + 1) == (epoch, batch):
            os.kill(os.getpid(), number)
        end_of_batch(self, index, logs)

    Progress.on_train_batch_end = end_or_kill  # type: ignore[method-assign]


def main(corpus: str, folder: str, options: str, *moment: str | int) -> None:
    """Trains; the arguments are those of the command."""
    logging.basicConfig(level=logging.INFO)
    PRESETS["demo"] = SMALL
    if "MIRRORED" in os.environ:
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        devices.choose_strategy = lambda _: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    if moment:
        kill_at(*map(int, moment))
    checkpoint, states = Path(folder, "checkpoint"), str(Path(folder, "states"))
    warm_start = os.environ.get("WARM_START", "")
    chosen = Options.model_validate_json(options)
    train(Path(corpus), checkpoint, warm_start=warm_start, checkpoints=states, options=chosen)


if __name__ == "__main__":
    main(*sys.argv[1:])
