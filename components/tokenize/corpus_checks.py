"""Checks whether the data are good enough to make a corpus."""

from seqline.components.tokenize.formats import place
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError

MINIMUM = {"train": 10, "valid": 1, "test": 1}


def check_counts(tally: Tally, options: Options, kept: dict[str, int]) -> None:
    """Refuses data that are too malformed or too few.

    Args:
        tally: The counts.
        options: The stage's options.
        kept: Pairs of each split.

    Raises:
        UserError: Too many rows are malformed, or a split has too few pairs.
    """
    first = tally.first_malformed
    if first and tally.malformed > options.max_malformed_share * tally.read:
        raise UserError(
            f"{place(first.path, first.line)}: {first.fault}. {tally.malformed} of {tally.read} rows are malformed: "
            "correct them, or raise max_malformed_share to leave them out"
        )
    if any(kept.get(split, 0) < least for split, least in MINIMUM.items()):
        counts = ", ".join(f"{split} {kept.get(split, 0)} (at least {least})" for split, least in MINIMUM.items())
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.rejected.items())) or "none"
        long = tally.rejected.get("too_long", 0)
        remedy = (
            f"Raise max_tokens, which is {options.max_tokens}, or split the documents"
            if 2 * long > tally.read
            else "Give more pairs, larger valid_share and test_share, or separate files with valid_data and test_data"
        )
        raise UserError(f"too few pairs to split: {counts}; {tally.read} rows read, rejected: {rejected}. {remedy}")
