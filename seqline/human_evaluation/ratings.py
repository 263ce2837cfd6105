"""Reads raters' files, and computes their preference and agreement."""

import json
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import krippendorff
import numpy as np

from seqline.artifacts.evaluation import MetricValue
from seqline.artifacts.human_evaluation import AGREEMENT, PREFERENCE, HumanEvaluation
from seqline.errors import UserError
from seqline.human_evaluation.sheet import EQUAL, FORMAT, LEFT, RIGHT, Key
from seqline.metrics.metrics import METRICS
from seqline.metrics.resampling import SIGNATURE, bootstrap, interval

log = logging.getLogger(__name__)

CHOICES = (LEFT, RIGHT, EQUAL)
LOST, TIED, WON = 0, 1, 2  # an unblinded rating: the columns of the counts


@dataclass(frozen=True)
class Ratings:
    """One rater's sheet.

    Attributes:
        rater: The rater's name.
        choices: left, right or equal, by the pair's index; skipped pairs are missing.
    """

    rater: str
    choices: dict[int, str]


def import_ratings(paths: Sequence[Path], key: Key) -> HumanEvaluation:
    """Reads raters' files, and computes their preference and agreement.

    Args:
        paths: The files downloaded from the sheet, one per rater.
        key: The sheet's key.

    Returns:
        The human evaluation. Its preference is the share of comparisons that the challenger wins, with ties as one
        half, averaged over sentences. Its agreement is Krippendorff's alpha of the ordinal scale lost, equal, won.

    Raises:
        UserError: If a file is no such download, belongs to another sheet, rates an unknown pair, or two files are by
            one rater.
    """
    sheets = [read_ratings(path, key) for path in paths]
    for name, count in Counter(sheet.rater for sheet in sheets).items():
        if count > 1:
            raise UserError(
                f"{count} files are by the rater {name!r}; pass only the last, or have each rater use their own name"
            )
    counts = np.zeros((len(key.sides), 3))
    for sheet in sheets:
        for pair, choice in sheet.choices.items():
            counts[pair, TIED if choice == EQUAL else WON if choice == key.sides[pair] else LOST] += 1
    counts = counts[counts.sum(axis=1) > 0]
    if not len(counts):
        raise UserError("the files contain no ratings: there is nothing to import")
    lost, tied, won = (int(total) for total in counts.sum(axis=0))
    metrics = {PREFERENCE: preference(counts, len(sheets))}
    if agreement := agreement_of(counts, len(sheets)):
        metrics[AGREEMENT] = agreement
    raters = sorted(sheet.rater for sheet in sheets)
    return HumanEvaluation(
        key.challenger, key.champion, key.corpus, raters, len(counts), won, tied, lost, metrics=metrics
    )


def read_ratings(path: Path, key: Key) -> Ratings:
    """Reads one rater's file.

    Args:
        path: The file.
        key: The sheet's key.

    Raises:
        UserError: If it is no such file, or belongs to another sheet.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UserError(f"{path} has the format {content['format']!r}, not {FORMAT!r}: download it from the sheet")
        sheet, rater = content["sheet"], content["rater"]
        rows = [(row["pair"], row["choice"]) for row in content["ratings"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a file downloaded from a sheet ({error!r})") from error
    if sheet != key.sheet:
        raise UserError(f"{path} belongs to the sheet {sheet}, the key to {key.sheet}: pass the key of that sheet")
    if not isinstance(rater, str) or not rater.strip():
        raise UserError(f"{path} does not name a rater")
    choices: dict[int, str] = {}
    for pair, choice in rows:
        if type(pair) is not int or not 0 <= pair < len(key.sides):
            raise UserError(f"{path} rates the pair {pair!r}; the sheet has 0 to {len(key.sides) - 1}")
        if pair in choices:
            raise UserError(f"{path} rates the pair {pair} twice")
        if choice not in CHOICES:
            raise UserError(f"{path}: the choice on pair {pair} must be one of {', '.join(CHOICES)}, not {choice!r}")
        choices[pair] = choice
    return Ratings(rater.strip(), choices)


def preference(counts: np.ndarray, raters: int) -> MetricValue:
    """Computes the share of comparisons won, in percent, with its interval over sentences.

    Args:
        counts: Ratings of shape (sentences, 3): lost, equal, won. Each sentence has at least one.
        raters: Number of raters.
    """
    shares = counts @ [0.0, 0.5, 1.0] / counts.sum(axis=1)
    # A bootstrap of few sentences, or of equal ones, is too narrow: Agresti and Coull (1998) add two of each side.
    drawn = np.concatenate([shares, [0.0, 0.0, 1.0, 1.0]])
    (sums,) = bootstrap([np.column_stack([drawn, np.ones(len(drawn))])])
    low, high = interval(100 * sums[:, 0] / sums[:, 1])
    signature = f"percent won, equal counts half|sentences:{len(counts)}|raters:{raters}|interval:plus four|{SIGNATURE}"
    return MetricValue(100 * float(shares.mean()), METRICS[PREFERENCE].higher_is_better, signature, low, high)


def agreement_of(counts: np.ndarray, raters: int) -> MetricValue | None:
    """Computes Krippendorff's alpha (2011), with its interval over sentences.

    Args:
        counts: Ratings of shape (sentences, 3): lost, equal, won.
        raters: Number of raters.

    Returns:
        The value; None where no sentence has two ratings, or all ratings are the same: alpha is undefined then.
    """
    shared = counts[counts.sum(axis=1) > 1]
    value = _alpha(shared)
    if math.isnan(value):
        log.warning("agreement is undefined: no two raters compared the same sentences, or all ratings are the same")
        return None
    (drawn,) = bootstrap([np.eye(len(shared))]) if len(shared) > 1 else (np.ones((1, 1)),)
    alphas = np.array([_alpha(np.repeat(shared, row.astype(int), axis=0)) for row in drawn])
    low, high = interval(alphas[~np.isnan(alphas)])
    signature = f"Krippendorff's alpha, ordinal|sentences:{len(shared)}|raters:{raters}|{SIGNATURE}"
    return MetricValue(value, METRICS[AGREEMENT].higher_is_better, signature, low, high)


def _alpha(counts: np.ndarray) -> float:
    """Returns alpha; NaN where it is undefined."""
    if (counts.sum(axis=0) > 0).sum() < 2:
        return math.nan
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal"))
