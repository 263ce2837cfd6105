"""The history of a training, one entry an epoch: which epoch is best, and when to stop."""

import math
from collections.abc import Sequence

import numpy as np

from seqline.components.train.options import DECODED
from seqline.metrics.metrics import METRICS

Entry = dict[str, float]
LOWER_IS_BETTER = ("loss", "perplexity")
MARGIN = 2.0
"""Points of a decoded metric by which a small sample may put an epoch below a worse one."""


def scores(history: Sequence[Entry], monitor: str) -> list[float]:
    """Returns the monitored metric of each epoch, negated where lower is better.

    Where it was measured on more pairs in some epochs, the others count as worse.

    Args:
        history: The epochs.
        monitor: The monitored metric, an option of training.
    """
    name = f"valid_{monitor}"
    if any(f"{name}_all" in entry for entry in history):
        return [entry.get(f"{name}_all", -math.inf) for entry in history]
    return [-entry[name] if monitor in LOWER_IS_BETTER else entry[name] for entry in history]


def may_be_best(history: Sequence[Entry], entry: Entry, monitor: str) -> bool:
    """Whether an epoch is worth measuring on more pairs: its sample is nearly as good as that of the best, or better.

    Args:
        history: The epochs before.
        entry: The epoch, with the metrics of the sample.
        monitor: The monitored metric.
    """
    if monitor not in DECODED:
        return False
    if not history:
        return True
    best = history[best_epoch(history, monitor) - 1]
    return entry[f"valid_{monitor}"] >= best[f"valid_{monitor}"] - MARGIN


def best_epoch(history: Sequence[Entry], monitor: str) -> int:
    """Returns the number of the best epoch; of equal ones, the last.

    Args:
        history: At least one epoch.
        monitor: The monitored metric.
    """
    found = scores(history, monitor)
    return int(max(zip(found, history, strict=True), key=lambda one: (one[0], one[1]["epoch"]))[1]["epoch"])


def out_of_patience(history: Sequence[Entry], monitor: str, patience: int) -> bool:
    """Whether none of the last epochs improved on an earlier one.

    Args:
        history: The epochs so far.
        monitor: The monitored metric.
        patience: Epochs without improvement before training stops; 0 for no limit.
    """
    if not patience or not history:
        return False
    best = int(np.argmax(scores(history, monitor)))
    return len(history) - 1 - best >= patience


def describe(entry: Entry, epochs: int) -> str:
    """Formats an epoch's metrics as a log line.

    Args:
        entry: The epoch.
        epochs: Number of epochs, at most.
    """
    texts = "".join(
        f"{METRICS[name].label.removesuffix(', %')} {entry.get(f'valid_{name}_all', entry[f'valid_{name}']):.1f}, "
        for name in ("bleu", "exact_match")
        if f"valid_{name}" in entry
    )
    return (
        f"epoch {entry['epoch']:.0f} of {epochs}: loss {entry['loss']:.3f}, valid loss {entry['valid_loss']:.3f}, "
        f"valid accuracy {entry['valid_accuracy']:.1%}, {texts}{entry['tokens_per_second']:,.0f} target tokens/s, "
        f"{entry['flop_utilization']:.0%} of the matmul peak, learning rate {entry['lr']:.2g}"
    )
