"""The stage's HTML page."""

from collections.abc import Mapping
from pathlib import Path

from seqline.artifacts.corpus import Manifest
from seqline.components.tokenize.expectations import NAMES, ExpectationResult
from seqline.components.tokenize.rules import reasons
from seqline.components.tokenize.statistics import QUANTILES, Drift, Statistics
from seqline.components.tokenize.tally import Example
from seqline.html_report.page import render

_BINS = 16
_TOKENS = 40
_EXAMPLES = 4


def render_report(
    manifest: Manifest,
    statistics: Statistics,
    examples: Mapping[str, list[Example]],
    drift: Drift | None,
    results: list[ExpectationResult],
) -> str:
    """Renders the page: rows kept and rejected, by reason; statistics of the pairs; expectations.

    Args:
        manifest: The corpus's manifest.
        statistics: Statistics of the training pairs.
        examples: A few rows by reason, and a few kept ones as "kept".
        drift: The drift from the previous corpus, if there is one.
        results: The results of the expectations.
    """
    sides = {"source": manifest.source_language, "target": manifest.target_language}
    total = max(1, sum(statistics.tokens.values()))
    return render(
        Path(__file__).with_name("report.html"),
        manifest=manifest,
        counts=manifest.counts,
        funnel=_funnel(manifest),
        names=reasons(manifest.counts.rejected),
        examples={reason: rows[:_EXAMPLES] for reason, rows in examples.items()},
        lengths=[
            (f"{side} ({language})", [statistics.quantile(side, share) for share in QUANTILES])
            for side, language in sides.items()
        ],
        bins={side: _bins(statistics.lengths.get(side, {})) for side in sides},
        ratios=_ratios(statistics.ratios),
        quantiles=[f"{share:.0%}" for share in QUANTILES],
        frequent=[(token, count, count / total) for token, count in list(statistics.tokens.items())[:_TOKENS]],
        unknown_share=statistics.unknown_share,
        slices=_slices(statistics),
        drift=drift,
        results=[(one, NAMES[one.name]) for one in results],
        options=[(name.replace("_", " "), value) for name, value in manifest.options.items()],
        tokens={side: sum(getattr(shard, f"{side}_tokens") for shard in manifest.shards) for side in sides},
    )


def _funnel(manifest: Manifest) -> list[tuple[str, int, int]]:
    """(reason, rows rejected, rows remaining) in the order of the rules that applied."""
    remaining, steps = manifest.counts.read, []
    for reason in reasons(manifest.counts.rejected):
        if rejected := manifest.counts.rejected.get(reason, 0):
            remaining -= rejected
            steps.append((reason, rejected, remaining))
    return steps


def _slices(statistics: Statistics) -> list[tuple[str, list[int]]]:
    names = sorted({name for counts in statistics.slices.values() for name in counts})
    splits = ("train", "valid", "test")
    return [(name, [statistics.slices.get(split, {}).get(name, 0) for split in splits]) for name in names]


def _bins(lengths: Mapping[int, int]) -> list[tuple[str, int]]:
    width = max(1, -(-(max(lengths, default=0) + 1) // _BINS))
    bins: dict[int, int] = {}
    for length, count in lengths.items():
        bins[length // width] = bins.get(length // width, 0) + count
    return [
        (str(number * width) if width == 1 else f"{number * width}-{number * width + width - 1}", bins.get(number, 0))
        for number in range(max(bins, default=0) + 1)
    ]


def _ratios(ratios: Mapping[int, int]) -> list[tuple[str, int]]:
    """Columns from the smallest to the largest ratio of target to source; every second one is a power of two."""
    first, last = min(ratios, default=0), max(ratios, default=0)
    return [
        (f"{2 ** (step / 2):.3g}" if step >= 0 else f"1/{2 ** (-step / 2):.3g}", ratios.get(step, 0))
        for step in range(first, last + 1)
    ]
