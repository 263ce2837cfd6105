"""What is spent on tuning."""

from dataclasses import dataclass

from seqline.errors import UserError


@dataclass(frozen=True)
class Budget:
    """What is spent on tuning.

    Attributes:
        trials: Trainings, pruned ones included.
        trial_epochs: Passes of each over the data, at most.
        trial_minutes: Training time of each, at most; 0 for no limit.
    """

    trials: int = 20
    trial_epochs: int = 5
    trial_minutes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("trials", "trial_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.trial_minutes < 0:
            raise UserError(f"trial_minutes must be at least 0, not {self.trial_minutes}")
