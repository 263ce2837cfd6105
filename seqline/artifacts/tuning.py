"""The result of tuning, and its layout.

tuning/
  best.yaml      {"parameters": {"training": {...}}}: a configuration file for `seqline run`
  trials.jsonl   a line a trial: "schema_version" and the fields of `Trial`
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_directory
from seqline.buckets import patiently
from seqline.errors import UserError

FILE = "trials.jsonl"
METRIC = "valid_loss"
"""The metric to minimize: the validation loss, without label smoothing."""


@dataclass(frozen=True)
class Trial(Record):
    """One training of the search.

    Attributes:
        number: Its number, from 0.
        state: succeeded, pruned or failed.
        parameters: The searched hyperparameters by name.
        value: The best value of the metric; None without one.
        epochs: The metric by epoch, from 1.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=2, remedy="tune again, or use the version of Seqline that wrote the file")

    number: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    epochs: dict[int, float] = field(default_factory=dict)


def best_of(trials: Sequence[Trial]) -> Trial:
    """Returns the trial with the lowest value among those that finished.

    Args:
        trials: All trials.

    Raises:
        UserError: If none finished.
    """
    finished = [trial for trial in trials if trial.state == "succeeded" and trial.value is not None]
    if not finished:
        raise UserError(f"none of the {len(trials)} trials finished; their logs have the reasons")
    return min(finished, key=lambda trial: (trial.value, trial.number))


def write_tuning(path: Path, trials: Sequence[Trial], preset: str = "") -> None:
    """Writes the folder.

    Args:
        path: The folder.
        trials: All trials; at least one finished.
        preset: The size of the trials' models, which training could otherwise select anew; empty if it cannot be set.
    """
    with atomic_directory(path, FILE) as folder:
        training = ({"preset": preset} if preset else {}) | best_of(trials).parameters
        best = yaml.safe_dump({"parameters": {"training": training}})
        (folder / "best.yaml").write_text(best, encoding="utf-8")
        lines = [json.dumps({"schema_version": Trial.SCHEMA.version, **asdict(trial)}) for trial in trials]
        (folder / FILE).write_text("\n".join([*lines, ""]), encoding="utf-8")


def read_trials(path: Path) -> list[Trial]:
    """Reads the trials of a folder that `write_tuning` wrote.

    Args:
        path: The folder.

    Raises:
        UserError: If the file is missing or a line cannot be read.
    """
    file = path / FILE
    if not patiently(file.is_file, file):
        raise UserError(f"{file} is missing; {Trial.SCHEMA.remedy}")
    lines = patiently(lambda: file.read_text(encoding="utf-8"), file).splitlines()
    return [Trial.from_json(line, f"{file}, line {number}") for number, line in enumerate(lines, 1)]
