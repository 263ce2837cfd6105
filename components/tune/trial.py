"""A trial as flags of `python -m seqline.components.train`, on this machine or in a Vertex AI container."""

import json
from typing import Any

from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options

PROGRAM = ("-m", "seqline.components.train")
"""What a trial of this machine runs, as arguments of Python."""


def flags(corpus: str, options: Options, training: Training, warm_start: str = "") -> list[str]:
    """Returns the flags of one trial, except those of its output.

    Args:
        corpus: The corpus folder.
        options: The budget of the search.
        training: Training options with the trial's hyperparameters. Vertex AI appends the searched ones again, and the
            last flag counts.
        warm_start: A checkpoint folder whose weights it starts from; empty for random weights.

    Raises:
        UserError: If an option is auto; see `check_decided`.
    """
    check_decided(training)
    values: dict[str, Any] = {
        "corpus": corpus,
        "warm_start": warm_start,
        **training.model_dump(),
        "epochs": options.trial_epochs,
        "minutes": options.trial_minutes,
        # The pruner decides when to stop a trial.
        "patience": 0,
        "monitor": "loss",
        "decoded_sample": 0,
    }
    return [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]


def check_decided(training: Training) -> None:
    """Refuses options that are auto: the final training has another time limit and might choose other values.

    Args:
        training: Training options.

    Raises:
        UserError: If there are some.
    """
    training.check_decided("for tuning")
