"""How a trial is told what to train: on this machine and as a Vertex AI container."""

from dataclasses import asdict

from components.tune.budget import Budget
from components.tune.space import Hyperparameters


def flags(corpus: str, budget: Budget, values: Hyperparameters) -> list[str]:
    """Returns the flags of `python -m components.train` for one trial, but for where it writes.

    Args:
        corpus: The corpus folder.
        budget: What is spent on it.
        values: Its hyperparameters. On Vertex AI the searched ones come again behind, and the last one counts.
    """
    options = {
        "corpus": corpus,
        "epochs": budget.trial_epochs,
        "minutes": budget.trial_minutes,
        # That a trial is hopeless is for the pruner to say.
        "patience": 0,
        "decoded_sample": 0,
        "precision": budget.precision,
        "seed": budget.seed,
        **asdict(values),
    }
    return [f"--{name}={value}" for name, value in options.items()]
