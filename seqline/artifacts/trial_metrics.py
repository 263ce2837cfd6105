"""Tells whoever tunes hyperparameters how a trial goes, epoch by epoch.

The way is that of the package cloudml-hypertune: Vertex AI's agent reads a file of JSON Lines, and so does the tune
stage on other machines.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqline.atomic import atomic_write

FILE = "CLOUD_ML_HP_METRIC_FILE"
TRIAL = "CLOUD_ML_TRIAL_ID"
# Where Vertex AI's agent looks, and how many lines it is given at most.
DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108 (its place)
MOST_LINES = 100


def report(history: Sequence[Mapping[str, float]], metric: str = "valid_loss") -> None:
    """Writes a metric of all epochs so far, where this training is a trial.

    Args:
        history: One entry an epoch, with the key `epoch`.
        metric: Which figure.
    """
    if FILE not in os.environ and TRIAL not in os.environ:
        return
    lines = [
        json.dumps(
            {
                "timestamp": time.time(),
                "trial": os.environ.get(TRIAL, "0"),
                metric: str(float(entry[metric])),
                "global_step": str(int(entry["epoch"])),
                "checkpoint_path": "",
            },
            sort_keys=True,
        )
        for entry in history[-MOST_LINES:]
    ]
    atomic_write(Path(os.environ.get(FILE, DEFAULT_FILE)), "\n".join([*lines, ""]))


def read_report(file: Path, metric: str = "valid_loss") -> dict[int, float]:
    """Reads what `report` wrote.

    Args:
        file: The file.
        metric: Which figure.

    Returns:
        The figure by epoch, from 1; empty before the first.
    """
    if not file.exists():
        return {}
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {int(entry["global_step"]): float(entry[metric]) for entry in entries}
