"""Metrics that a trial reports to hyperparameter tuning after every epoch.

The file format is that of the package cloudml-hypertune, JSON Lines: Vertex AI's agent reads it, and so does the tune
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
# The path that Vertex AI's agent reads, and the most lines that it accepts.
DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108 (set by Vertex AI)
MAX_LINES = 100


def report(history: Sequence[Mapping[str, float]], metric: str = "valid_loss") -> None:
    """Writes a metric of all epochs so far; does nothing outside of a trial.

    Args:
        history: One entry an epoch, with the key `epoch`.
        metric: Name of the metric.
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
        for entry in history[-MAX_LINES:]
    ]
    atomic_write(Path(os.environ.get(FILE, DEFAULT_FILE)), "\n".join([*lines, ""]))


def read_report(file: Path, metric: str = "valid_loss") -> dict[int, float]:
    """Reads the file that `report` wrote.

    Args:
        file: The file.
        metric: Name of the metric.

    Returns:
        The metric by epoch, from 1; empty before the first epoch.
    """
    if not file.exists():
        return {}
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {int(entry["global_step"]): float(entry[metric]) for entry in entries}
