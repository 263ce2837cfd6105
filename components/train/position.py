"""How far a training is, as whoever watches the run sees it."""

from typing import TYPE_CHECKING

from seqline.metrics.metrics import METRICS
from seqline.progress import Progress

if TYPE_CHECKING:
    from seqline.components.train.trainer import Trainer


def position(trainer: "Trainer", loss: float, rate: float) -> Progress:
    """Returns the record of a training within an epoch.

    Args:
        trainer: The trainer.
        loss: The epoch's mean loss so far.
        rate: Target tokens a second.
    """
    options, pace, batches = trainer.options, trainer.pace, len(trainer.train_batches)
    total = options.epochs * batches
    done = trainer.epoch * batches + trainer.step
    shares, left = [done / total], []
    if pace.measured_batches:
        each = pace.measured_seconds / pace.measured_batches
        validations = (options.epochs - trainer.epoch) * trainer.validation_seconds
        left.append((total - done) * each + validations)
    if pace.limit:
        # The training ends with its epochs or its minutes, whichever end first.
        shares.append(trainer.elapsed / pace.limit)
        left.append(pace.limit - trainer.elapsed)
    return Progress(
        text=f"epoch {trainer.epoch + 1} of {options.epochs} ({trainer.step / batches:.0%})",
        share=min(max(shares), 1.0),
        values={"loss": loss, **validation(trainer.history[-1] if trainer.history else {}, options.monitor)},
        rate=rate,
        unit="target tokens",
        seconds_left=max(min(left), 0.0) if left else None,
    )


def validation(entry: dict[str, float], monitor: str) -> dict[str, float]:
    """Returns the validation metrics of an epoch by their names for people.

    Args:
        entry: The epoch, from the history; empty before the first has ended.
        monitor: The monitored metric, an option of training.
    """
    label = METRICS[monitor].label if monitor in METRICS else monitor
    names = {"valid loss": "valid_loss", f"valid {label}": f"valid_{monitor}"}
    return {shown: entry.get(f"{name}_all", entry[name]) for shown, name in names.items() if name in entry}
