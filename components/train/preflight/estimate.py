"""From what the compiler says to seconds; docs/preflight.md says how good that is."""

from dataclasses import dataclass

from seqline.components.train.preflight.compiling import Compiled
from seqline.components.train.preflight.slices import Slice


@dataclass(frozen=True)
class Estimate:
    """How long one step takes on a slice.

    Attributes:
        seconds: Of the step.
        compute_seconds: That its matrix products would take at the cores' peak.
        memory_seconds: That its bytes would take at the memory's bandwidth.
        reduce_seconds: That summing the gradients over the replicas takes, not overlapped.
        bound: What would end last: compute, memory, or overhead where the compiler's cycles are over twice both.
    """

    seconds: float
    compute_seconds: float
    memory_seconds: float
    reduce_seconds: float
    bound: str


def estimate(compiled: Compiled, slice_: Slice) -> Estimate:
    """Estimates the time of a step.

    The compiler's own cycles, but no less than its products at peak or its bytes at full bandwidth need; and then the
    all-reduce in a ring, 2 (n - 1) / n times the gradients' bytes over one link.

    Args:
        compiled: The step of one replica.
        slice_: Where it runs.
    """
    compute = compiled.flops / slice_.flops
    memory = compiled.work.hbm_bytes / slice_.bandwidth
    cycles = compiled.work.cycles / slice_.hertz
    replicas = slice_.replicas
    reduce = 2 * (replicas - 1) / replicas * compiled.work.reduced_bytes / slice_.link
    bound = "compute" if compute >= memory else "memory"
    if cycles > 2 * max(compute, memory):
        bound = "overhead"
    return Estimate(max(compute, memory, cycles) + reduce, compute, memory, reduce, bound)
