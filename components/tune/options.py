"""Options of the tune stage."""

from typing import Any

from pydantic import Field, field_validator

from seqline.schema.options import BaseOptions, refusing


class Options(BaseOptions):
    """The search for hyperparameters."""

    space: dict[str, Any] = Field(
        {},
        description='Search space by training option: {"min", "max"} with "scale" log or linear, or {"values"}; '
        "empty for the options that are searched by default; see docs/tuning.md.",
    )
    trials: int = Field(20, ge=1, description="Number of trials, pruned ones included.")
    trial_epochs: int = Field(5, ge=1, description="Epochs of a trial, at most.")
    trial_minutes: float = Field(0.0, ge=0, description="Training time of a trial in minutes, at most; 0 for no limit.")

    @field_validator("space")
    @classmethod
    def _check_space(cls, value: dict[str, Any]) -> dict[str, Any]:
        from seqline.components.tune.space import read_space

        with refusing():
            read_space(value)
        return value
