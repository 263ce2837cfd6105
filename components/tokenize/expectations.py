"""Expectations: requirements on a corpus, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqline.artifacts.corpus import Counts
from seqline.components.tokenize.statistics import Drift, Statistics
from seqline.errors import UserError
from seqline.names import nearest

NAMES = {
    "min_pairs": "training pairs, at least",
    "max_rejected_share": "share of the rows rejected, at most",
    "max_unknown_share": "share of the tokens that are unknown or bytes, at most",
    "max_source_p99": "tokens that 99% of the sources do not exceed, at most",
    "max_target_p99": "tokens that 99% of the targets do not exceed, at most",
    "slices": "slices with at least one training pair",
    "max_source_length_drift": "Jensen-Shannon distance of the sources' lengths from the previous corpus, at most",
    "max_target_length_drift": "Jensen-Shannon distance of the targets' lengths from the previous corpus, at most",
    "max_piece_drift": "Jensen-Shannon distance of the tokens' frequencies from the previous corpus, at most",
}
_DRIFT = {
    "max_source_length_drift": "source_lengths",
    "max_target_length_drift": "target_lengths",
    "max_piece_drift": "tokens",
}


@dataclass(frozen=True)
class ExpectationResult:
    """The result of one expectation.

    Attributes:
        name: The expectation.
        value: The corpus's value.
        limit: The expected value.
        met: Whether the value is as expected.
    """

    name: str
    value: float | str
    limit: float | str
    met: bool


def check_names(expectations: Mapping[str, Any]) -> None:
    """Checks that expectations exist and have limits of the right type.

    Args:
        expectations: Limits by name.

    Raises:
        UserError: A name is unknown, or its limit has the wrong type.
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
    """Checks that expectations of drift have a corpus to compare with.

    Args:
        expectations: Limits by name.
        previous_corpus: The corpus to compare with; empty for none.

    Raises:
        UserError: There is none.
    """
    if name := next((name for name in expectations if name in _DRIFT and not previous_corpus), ""):
        raise UserError(f"expectations: {name} needs previous_corpus, the corpus to compare with")


def evaluate(
    expectations: Mapping[str, Any], counts: Counts, statistics: Statistics, drift: Drift | None
) -> list[ExpectationResult]:
    """Compares a corpus with expectations.

    Args:
        expectations: Limits by name.
        counts: Row counts.
        statistics: Statistics of the training pairs.
        drift: The drift from the previous corpus, if there is one.
    """
    values: dict[str, float] = {
        "min_pairs": counts.train,
        "max_rejected_share": statistics.rejected_share,
        "max_unknown_share": statistics.unknown_share,
        "max_source_p99": statistics.quantile("source", 0.99),
        "max_target_p99": statistics.quantile("target", 0.99),
    }
    if drift:
        values |= {name: getattr(drift, attribute) for name, attribute in _DRIFT.items()}
    results = []
    for name, limit in expectations.items():
        if name == "slices":
            present = statistics.slices.get("train", {})
            missing = [one for one in limit if not present.get(one)]
            value = f"without {', '.join(missing)}" if missing else "all"
            results.append(ExpectationResult(name, value, ", ".join(limit), not missing))
        else:
            met = values[name] >= limit if name.startswith("min_") else values[name] <= limit
            results.append(ExpectationResult(name, values[name], limit, met))
    return results


def require_met(results: list[ExpectationResult]) -> None:
    """Raises an error if an expectation is not met.

    Args:
        results: From `evaluate`.

    Raises:
        UserError: Names each unmet expectation with its value and limit.
    """
    unmet = []
    for one in results:
        if not one.met:
            value = one.value if isinstance(one.value, str) else f"{one.value:g}"
            bound = {"min": "at least ", "max": "at most "}.get(one.name[:3], "")
            unmet.append(f"{one.name}: {value}, expected {bound}{one.limit}")
    if unmet:
        raise UserError(
            f"the corpus is not as expected: {'; '.join(unmet)}. Look at the data, or change the expectations"
        )
