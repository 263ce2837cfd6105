"""Metrics that a trial reports to hyperparameter tuning after every epoch.

The file format is that of the package cloudml-hypertune, JSON Lines: Vertex AI's agent reads it, and so does the tune
stage on other machines.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqline.errors import UserError

FILE = "CLOUD_ML_HP_METRIC_FILE"
TRIAL = "CLOUD_ML_TRIAL_ID"
# The path that Vertex AI's agent reads, and the most lines that it accepts.
DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108 (set by Vertex AI)
MAX_LINES = 100


def check_writable() -> None:
    """Checks, before a trial trains, that it can report; does nothing outside of a trial.

    Raises:
        UserError: If this user may not write the file.
    """
    if _in_trial():
        _write(_file(), "", mode="a")


def report(history: Sequence[Mapping[str, float]], metric: str = "valid_loss") -> None:
    """Writes a metric of all epochs so far; does nothing outside of a trial.

    Args:
        history: One entry an epoch, with the key `epoch`.
        metric: Name of the metric.

    Raises:
        UserError: If this user may not write the file.
    """
    if not _in_trial():
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
    _write(_file(), "\n".join([*lines, ""]))


def read_report(file: Path, metric: str = "valid_loss") -> dict[int, float]:
    """Reads the file that `report` wrote.

    Args:
        file: The file.
        metric: Name of the metric.

    Returns:
        The metric by epoch, from 1; empty before the first epoch.
    """
    found: dict[int, float] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            # The trial is writing it.
            break
        found[int(entry["global_step"])] = float(entry[metric])
    return found


def _in_trial() -> bool:
    return FILE in os.environ or TRIAL in os.environ


def _file() -> Path:
    return Path(os.environ.get(FILE, DEFAULT_FILE))


def _write(file: Path, text: str, mode: str = "w") -> None:
    """Writes the file in place, as cloudml-hypertune does.

    Its folder is Google's, where only root may create files: github.com/GoogleCloudPlatform/cloudml-hypertune/issues/6.
    So the user of our images can write no temporary file beside it, to replace it at once.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open(mode, encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise UserError(
            f"{file}: user {os.geteuid()} cannot report this trial's metrics there ({error.strerror}), so the search "
            "would learn nothing from it; let that user write the file"
        ) from error
