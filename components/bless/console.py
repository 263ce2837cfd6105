"""What consoles show of a decision: its verdict and reasons, and how sentences moved as a confusion matrix."""

from typing import Any, Protocol

from seqline.artifacts.decision import Decision
from seqline.components.bless.movement import BANDS


class Shown(Protocol):
    """An output artifact of KFP."""

    metadata: dict[str, Any]


class Matrix(Protocol):
    """KFP's classification metrics."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Gives the console a matrix; rows are what was, columns what is."""


def show(made: Decision, decision: Shown, movement: Matrix) -> None:
    """Gives artifacts the metadata that consoles show.

    Args:
        made: The decision.
        decision: The decision's artifact.
        movement: Stays empty without a champion.
    """
    decision.metadata.update(blessed=made.blessed, reasons=[verdict.reason for verdict in made.rules])
    if made.movement:
        movement.log_confusion_matrix(BANDS, made.movement)
