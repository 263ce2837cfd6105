"""A trial as flags of `python -m seqline.components.train`: on this machine and in a Vertex AI container."""

import json
from typing import Any

from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.errors import UserError


def flags(corpus: str, options: Options, training: Training, warm_start: str = "") -> list[str]:
    """Returns the flags of one trial, but for where it writes.

    Args:
        corpus: The corpus folder.
        options: The search's budget.
        training: Training options, its hyperparameters among them. On Vertex AI the searched ones come again behind,
            and the last one counts.
        warm_start: A checkpoint folder whose weights it starts from; empty for random ones.

    Raises:
        UserError: As `check_preset` does.
    """
    check_preset(training)
    values: dict[str, Any] = {
        "corpus": corpus,
        "warm_start": warm_start,
        **training.model_dump(),
        "epochs": options.trial_epochs,
        "minutes": options.trial_minutes,
        # Whether a trial is hopeless is the pruner's decision.
        "patience": 0,
        "monitor": "loss",
        "decoded_sample": 0,
    }
    return [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]


def check_preset(training: Training) -> None:
    """Refuses a preset that the final training, which has another time limit, may select differently.

    Args:
        training: Training options.

    Raises:
        UserError: If the preset is auto.
    """
    if training.preset == "auto":
        raise UserError("preset auto is selected when training starts; name the preset to search with, or search it")
