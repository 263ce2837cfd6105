"""The history of a training, one entry an epoch: which epoch is best, and when to stop."""

from collections.abc import Sequence

import numpy as np

Entry = dict[str, float]
LOWER_IS_BETTER = ("loss", "perplexity")


def score(entry: Entry, monitor: str) -> float:
    """Returns the monitored metric of an epoch, negated where lower is better.

    Args:
        entry: The epoch.
        monitor: The monitored metric, an option of training.
    """
    value = entry[f"valid_{monitor}"]
    return -value if monitor in LOWER_IS_BETTER else value


def best_epoch(history: Sequence[Entry], monitor: str) -> int:
    """Returns the number of the best epoch; of equal ones, the last.

    Args:
        history: At least one epoch.
        monitor: The monitored metric.
    """
    return int(max(history, key=lambda entry: (score(entry, monitor), entry["epoch"]))["epoch"])


def out_of_patience(history: Sequence[Entry], monitor: str, patience: int) -> bool:
    """Whether none of the last epochs improved on an earlier one.

    Args:
        history: The epochs so far.
        monitor: The monitored metric.
        patience: Epochs without improvement before training stops; 0 for no limit.
    """
    if not patience or not history:
        return False
    best = int(np.argmax([score(entry, monitor) for entry in history]))
    return len(history) - 1 - best >= patience


def describe(entry: Entry, epochs: int) -> str:
    """Formats an epoch's metrics as a log line.

    Args:
        entry: The epoch.
        epochs: Number of epochs, at most.
    """
    bleu = f"BLEU {entry['valid_bleu']:.1f}, " if "valid_bleu" in entry else ""
    return (
        f"epoch {entry['epoch']:.0f} of {epochs}: loss {entry['loss']:.3f}, valid loss {entry['valid_loss']:.3f}, "
        f"valid accuracy {entry['valid_accuracy']:.1%}, {bleu}{entry['tokens_per_second']:,.0f} target tokens/s, "
        f"{entry['flop_utilization']:.0%} of the matmul peak, learning rate {entry['lr']:.2g}"
    )
