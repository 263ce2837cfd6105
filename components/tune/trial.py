"""How a trial is told what to train: on this machine and as a Vertex AI container."""

from dataclasses import asdict

from seqline.components.train.options import Options
from seqline.components.tune.budget import Budget
from seqline.errors import UserError


def flags(corpus: str, budget: Budget, options: Options, warm_start: str = "") -> list[str]:
    """Returns the flags of `python -m seqline.components.train` for one trial, but for where it writes.

    Args:
        corpus: The corpus folder.
        budget: What is spent on it.
        options: Options of training, its hyperparameters among them. On Vertex AI the searched ones come again behind,
            and the last one counts.
        warm_start: A checkpoint folder whose weights it starts from; empty for random ones.

    Raises:
        UserError: As `check_preset` does.
    """
    check_preset(options)
    given = {
        "corpus": corpus,
        "warm_start": warm_start,
        **asdict(options),
        "epochs": budget.trial_epochs,
        "minutes": budget.trial_minutes,
        # That a trial is hopeless is for the pruner to say.
        "patience": 0,
        "monitor": "loss",
        "decoded_sample": 0,
    }
    return [f"--{name}={value}" for name, value in given.items()]


def check_preset(options: Options) -> None:
    """Refuses a preset that the training at the end, which has other minutes, may choose otherwise.

    Args:
        options: Options of training.

    Raises:
        UserError: If the preset is auto.
    """
    if options.preset == "auto":
        raise UserError("preset auto is chosen when training starts; name the preset to search with, or search it")
