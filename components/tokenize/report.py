"""The stage's HTML page."""

from collections import Counter
from pathlib import Path

from components.report.page import render
from components.tokenize.corpus import Manifest
from components.tokenize.tally import Tally

REASONS = {
    "wrong_columns": "not two columns",
    "not_utf8": "not UTF-8",
    "not_json": "not a JSON object",
    "missing_field": "no text in a field",
    "empty": "a side is empty",
    "duplicate": "the same pair again",
    "identical": "both sides the same",
    "in_test": "source is in the test",
    "in_valid": "source is in the validation",
    "too_long": "too many pieces",
    "length_ratio": "lengths too unlike",
}
"""Reasons for leaving a row out, in the order in which they are looked at."""

QUANTILES = (0.5, 0.9, 0.99, 1.0)
_BINS = 16


def render_report(manifest: Manifest, tally: Tally) -> str:
    """The page: what was kept, what was left out and why, how long the pairs are, and examples.

    Args:
        manifest: The corpus's manifest.
        tally: What was counted.
    """
    sides = {"source": manifest.source_language, "target": manifest.target_language}
    return render(
        Path(__file__).with_name("report.html"),
        manifest=manifest,
        counts=manifest.counts,
        funnel=_funnel(manifest),
        names=REASONS,
        examples=tally.examples,
        lengths=[
            (f"{side} ({language})", [quantile(tally.lengths[side], share) for share in QUANTILES])
            for side, language in sides.items()
        ],
        bins=_bins(tally.lengths["target"]),
        quantiles=[f"{share:.0%}" for share in QUANTILES],
        options=[(name.replace("_", " "), value) for name, value in manifest.options.items()],
        tokens={side: sum(getattr(shard, f"{side}_tokens") for shard in manifest.shards) for side in sides},
    )


def quantile(lengths: Counter[int], share: float) -> int:
    """The smallest length that at least this share of the pairs does not exceed.

    Args:
        lengths: Pairs by length.
        share: Above 0, at most 1.
    """
    below = 0
    for length, count in sorted(lengths.items()):
        below += count
        if below >= share * lengths.total():
            return length
    return 0


def _funnel(manifest: Manifest) -> list[tuple[str, int, int]]:
    """(reason, rows left out, rows remaining) in the order of the rules that applied."""
    remaining, steps = manifest.counts.read, []
    for reason in REASONS:
        if rejected := manifest.counts.rejected.get(reason, 0):
            remaining -= rejected
            steps.append((reason, rejected, remaining))
    return steps


def _bins(lengths: Counter[int]) -> list[tuple[str, int]]:
    width = max(1, -(-(max(lengths, default=0) + 1) // _BINS))
    bins: Counter[int] = Counter()
    for length, count in lengths.items():
        bins[length // width] += count
    last = max(bins, default=0)
    return [
        (str(number * width) if width == 1 else f"{number * width}-{number * width + width - 1}", bins[number])
        for number in range(last + 1)
    ]
