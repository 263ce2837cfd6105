"""Expectations: what a corpus must be like to be trained on, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqline.artifacts.corpus import Counts
from seqline.components.tokenize.statistics import Drift, Statistics
from seqline.errors import UserError
from seqline.names import nearest

NAMES = {
    "min_pairs": "training pairs, at least",
    "max_rejected_share": "share of the rows left out, at most",
    "max_unknown_share": "share of the pieces that are unknown or bytes, at most",
    "max_source_p99": "pieces that 99% of the sources do not exceed, at most",
    "max_target_p99": "pieces that 99% of the targets do not exceed, at most",
    "slices": "slices with at least one training pair",
    "max_source_length_drift": "Jensen-Shannon distance of the sources' lengths from the previous corpus, at most",
    "max_target_length_drift": "Jensen-Shannon distance of the targets' lengths from the previous corpus, at most",
    "max_piece_drift": "Jensen-Shannon distance of the pieces' frequencies from the previous corpus, at most",
}
_DRIFT = {
    "max_source_length_drift": "source_lengths",
    "max_target_length_drift": "target_lengths",
    "max_piece_drift": "pieces",
}


@dataclass(frozen=True)
class Verdict:
    """What became of one expectation.

    Attributes:
        name: The expectation.
        figure: What was found.
        limit: What was expected.
        met: Whether it holds.
    """

    name: str
    figure: float | str
    limit: float | str
    met: bool


def check_names(expectations: Mapping[str, Any]) -> None:
    """Refuses expectations that cannot be held against a corpus.

    Args:
        expectations: By name.

    Raises:
        UserError: A name is unknown, or its value is of the wrong kind.
    """
    for name, limit in expectations.items():
        if name not in NAMES:
            raise UserError(f"there is no expectation {name!r}; {nearest(name, NAMES)}")
        if name == "slices":
            if not isinstance(limit, list) or not all(isinstance(one, str) for one in limit):
                raise UserError(f"slices must be a list of names, not {limit!r}")
        elif isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
            raise UserError(f"{name} must be a number of at least 0, not {limit!r}")


def check_drift(expectations: Mapping[str, Any], previous_corpus: str) -> None:
    """Refuses expectations of drift where there is nothing to drift from.

    Args:
        expectations: By name.
        previous_corpus: The corpus to compare with.

    Raises:
        UserError: There is none.
    """
    if name := next((name for name in expectations if name in _DRIFT and not previous_corpus), ""):
        raise UserError(f"expectations: {name} needs previous_corpus, the corpus to compare with")


def hold(expectations: Mapping[str, Any], counts: Counts, statistics: Statistics, drift: Drift | None) -> list[Verdict]:
    """Holds a corpus against expectations.

    Args:
        expectations: By name.
        counts: What became of the rows.
        statistics: What the training pairs look like.
        drift: How far they are from the previous corpus.
    """
    figures: dict[str, float] = {
        "min_pairs": counts.train,
        "max_rejected_share": statistics.rejected_share,
        "max_unknown_share": statistics.unknown_share,
        "max_source_p99": statistics.quantile("source", 0.99),
        "max_target_p99": statistics.quantile("target", 0.99),
    }
    if drift:
        figures |= {name: getattr(drift, attribute) for name, attribute in _DRIFT.items()}
    verdicts = []
    for name, limit in expectations.items():
        if name == "slices":
            present = statistics.slices.get("train", {})
            missing = [one for one in limit if not present.get(one)]
            verdicts.append(
                Verdict(name, f"without {', '.join(missing)}" if missing else "all", ", ".join(limit), not missing)
            )
        else:
            figure = figures[name]
            met = figure >= limit if name.startswith("min_") else figure <= limit
            verdicts.append(Verdict(name, figure, limit, met))
    return verdicts


def require(verdicts: list[Verdict]) -> None:
    """Stops when an expectation is not met.

    Raises:
        UserError: Names each with the figure and the limit.
    """
    failed = []
    for one in verdicts:
        if not one.met:
            figure = one.figure if isinstance(one.figure, str) else f"{one.figure:g}"
            bound = {"min": "at least ", "max": "at most "}.get(one.name[:3], "")
            failed.append(f"{one.name}: {figure}, expected {bound}{one.limit}")
    if failed:
        raise UserError(
            f"the corpus is not as expected: {'; '.join(failed)}. Look at the data, or change the expectations"
        )
