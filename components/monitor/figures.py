"""The figures of live traffic: their names, and what they can be compared with."""

from dataclasses import dataclass
from typing import Literal

from seqline.errors import UserError
from seqline.names import nearest

Against = Literal["", "training", "previous"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: Its name in rules and files.
        label: Its name in reports.
        kind: A distance between two distributions, the mean of a value of each request, or its 95th percentile.
        against: What a rule on it can compare with; empty stands for the figure itself.
        least: Smallest value of a request.
        most: Largest value of a request.
        feedback: Whether it is of the feedback and not of the requests.
        higher_is_better: Its direction; of a share or a distance lower is.
    """

    name: str
    label: str
    kind: Literal["distance", "mean", "percentile"]
    against: tuple[Against, ...]
    least: float = 0.0
    most: float = 1.0
    feedback: bool = False
    higher_is_better: bool = False

    @property
    def of_drift(self) -> bool:
        """Whether it compares the texts with those of training, and not the answers with a limit."""
        return "training" in self.against

    @property
    def unit(self) -> str:
        """What its values are in, for a table."""
        if self.kind == "distance":
            return "distance, 0 to 1"
        if self.kind == "percentile":
            return ""  # its label says so
        if self.name == "rating":
            return "mean, -1 to 1"
        if self.name == "score":
            return "mean, 0 to 1"
        return "share of the tokens" if self.name == "unknown_share" else "share"


_BOTH: tuple[Against, ...] = ("training", "previous")
_ANY: tuple[Against, ...] = ("", "training", "previous")
_LIVE: tuple[Against, ...] = ("", "previous")
FIGURES = {
    figure.name: figure
    for figure in (
        Figure("token_distance", "Distance of the token frequencies", "distance", _BOTH),
        Figure("length_distance", "Distance of the texts' lengths", "distance", _BOTH),
        Figure("output_length_distance", "Distance of the outputs' lengths", "distance", _BOTH),
        Figure("unusual_texts", "Unusual texts", "mean", _ANY),
        Figure("unknown_share", "Unknown tokens", "mean", _ANY),
        Figure("other_script", "Texts in another script", "mean", _ANY),
        Figure("other_language", "Texts in another language", "mean", _ANY),
        Figure("truncated", "Truncated texts", "mean", _LIVE),
        Figure("empty", "Empty outputs", "mean", _LIVE),
        Figure("copied", "Outputs that copy the text", "mean", _LIVE),
        Figure("score", "Probability of the output per token", "mean", _LIVE, higher_is_better=True),
        Figure("latency_p95", "95th percentile of the latency in ms", "percentile", ("",), 0.0, float("inf")),
        Figure("rating", "Rating by users", "mean", _LIVE, -1.0, 1.0, feedback=True, higher_is_better=True),
        Figure("corrected", "Corrections in the feedback", "mean", _LIVE, feedback=True),
    )
}


def find_figure(name: str) -> Figure:
    """Returns a figure.

    Args:
        name: Its name.

    Raises:
        UserError: If there is none; the message has the nearest name.
    """
    if name not in FIGURES:
        raise UserError(f"there is no figure {name!r}; {nearest(name, FIGURES)}")
    return FIGURES[name]
