"""The gap between the best and the worst slice, as figures that a gate can use."""

from seqline.artifacts.evaluation import Figure, Slice
from seqline.metrics.metrics import HEADLINES, METRICS

SLICINGS = ("length", "slice", "terms")


def gaps(slices: list[Slice], task: str, smallest: int) -> dict[str, Figure]:
    """How far apart the slices are in the task's headline figure.

    Args:
        slices: The slices with their figures.
        task: What the model was trained for.
        smallest: Slices of fewer sentences do not count: their figures are mostly chance.

    Returns:
        `gap_length`, `gap_slice`, `gap_terms` where two slices of the kind count, and `widest_gap`, the widest of them.
    """
    metric = HEADLINES[task]
    found = {}
    for slicing in SLICINGS:
        values = [
            one.metrics[metric].value for one in slices if one.slicing == slicing and one.sentences >= max(1, smallest)
        ]
        if len(values) >= 2:
            signature = f"{metric} of the best {slicing} less the worst|slices of at least {smallest} sentences"
            found[f"gap_{slicing}"] = Figure(max(values) - min(values), False, signature)
    if found:
        widest = max(figure.value for figure in found.values())
        signature = f"widest of {', '.join(found)} in {metric}|slices of at least {smallest} sentences"
        found["widest_gap"] = Figure(widest, METRICS["widest_gap"].higher_is_better, signature)
    return found
