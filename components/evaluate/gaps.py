"""Gap metrics: the differences between the best and the worst slice."""

from seqline.artifacts.evaluation import MetricValue, Slice
from seqline.metrics.metrics import HEADLINES, METRICS

SLICINGS = ("length", "slice", "terms")


def gaps(slices: list[Slice], task: str, min_slice_size: int) -> dict[str, MetricValue]:
    """Computes the gaps in the task's headline metric.

    Args:
        slices: The slices with their metrics.
        task: The task that the model was trained for.
        min_slice_size: Slices of fewer sentences are excluded: their values are mostly chance.

    Returns:
        `gap_length`, `gap_slice` and `gap_terms`, each where two slices of the kind are large enough, and `widest_gap`,
        the widest of them.
    """
    metric = HEADLINES[task]
    found = {}
    for slicing in SLICINGS:
        values = [
            one.metrics[metric].value
            for one in slices
            if one.slicing == slicing and one.sentences >= max(1, min_slice_size)
        ]
        if len(values) >= 2:
            signature = f"{metric} of the best {slicing} less the worst|slices of at least {min_slice_size} sentences"
            found[f"gap_{slicing}"] = MetricValue(max(values) - min(values), False, signature)
    if found:
        widest = max(gap.value for gap in found.values())
        signature = f"widest of {', '.join(found)} in {metric}|slices of at least {min_slice_size} sentences"
        found["widest_gap"] = MetricValue(widest, METRICS["widest_gap"].higher_is_better, signature)
    return found
