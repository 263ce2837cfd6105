"""Metadata for consoles: the decision with its reasons, and the movement of sentences as a confusion matrix."""

from typing import Any, Protocol

from seqline.artifacts.decision import Decision
from seqline.components.bless.movement import BANDS


class ArtifactWithMetadata(Protocol):
    """An output artifact of KFP."""

    metadata: dict[str, Any]


class ConfusionMatrix(Protocol):
    """KFP's classification metrics."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Logs a matrix; KFP calls its rows the true classes and its columns the predicted ones."""


def show(made: Decision, decision: ArtifactWithMetadata, movement: ConfusionMatrix) -> None:
    """Sets the metadata of the artifacts.

    Args:
        made: The decision.
        decision: The decision's artifact.
        movement: Stays empty without a champion.
    """
    decision.metadata.update(blessed=made.blessed, reasons=[result.reason for result in made.rules])
    if made.movement:
        movement.log_confusion_matrix(BANDS, made.movement)
