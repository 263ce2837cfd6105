"""The result of tuning, and its layout.

tuning/
  best.yaml      {"parameters": {"training": {...}}}: goes to `seqline run` as one of its configuration files
  trials.jsonl   a line a trial: {"number", "state", "parameters", "value", "epochs"}
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seqline.atomic import atomic_directory
from seqline.errors import UserError

METRIC = "valid_loss"
"""What is made small: the validation loss, without label smoothing."""


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        number: Its number, from 0.
        state: succeeded, pruned or failed.
        parameters: The hyperparameters that were searched, by name.
        value: Its best figure; None where it has none.
        epochs: The figure by epoch, from 1.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    epochs: dict[int, float] = field(default_factory=dict)


def best_of(trials: Sequence[Trial]) -> Trial:
    """Returns the trial with the least figure among those that ran to their end.

    Raises:
        UserError: If there is none.
    """
    ended = [trial for trial in trials if trial.state == "succeeded" and trial.value is not None]
    if not ended:
        raise UserError(f"none of the {len(trials)} trials ran to its end; their logs say why")
    return min(ended, key=lambda trial: (trial.value, trial.number))


def write_tuning(path: Path, trials: Sequence[Trial]) -> None:
    """Writes the folder.

    Args:
        path: The folder.
        trials: All trials; at least one ran to its end.
    """
    with atomic_directory(path) as folder:
        best = yaml.safe_dump({"parameters": {"training": best_of(trials).parameters}})
        (folder / "best.yaml").write_text(best, encoding="utf-8")
        lines = [json.dumps(asdict(trial)) for trial in trials]
        (folder / "trials.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")


def read_trials(path: Path) -> list[Trial]:
    """Reads the trials of a folder that `write_tuning` wrote."""
    lines = (path / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [Trial(**json.loads(line)) for line in lines]
