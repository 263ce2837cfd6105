"""Estimating the time of a step from the compiled program; docs/preflight.md has the accuracy."""

from dataclasses import dataclass

from seqline.components.train.preflight.compiling import Compiled
from seqline.components.train.preflight.slices import Slice


@dataclass(frozen=True)
class Estimate:
    """Time of one step on a slice.

    Attributes:
        seconds: Time of the step.
        compute_seconds: Time of its matrix products at the cores' peak.
        memory_seconds: Time of its memory traffic at full bandwidth.
        reduce_seconds: Time of summing the gradients over the replicas, not overlapped.
        bound: The bottleneck: compute, memory, or overhead where the compiler's cycles exceed twice both.
    """

    seconds: float
    compute_seconds: float
    memory_seconds: float
    reduce_seconds: float
    bound: str


def estimate(compiled: Compiled, slice_: Slice) -> Estimate:
    """Estimates the time of a step.

    The maximum of the compiler's cycles, the products at peak and the memory traffic at full bandwidth; plus a ring
    all-reduce, which moves 2 (n - 1) / n times the gradients' bytes over one link.

    Args:
        compiled: The step of one replica.
        slice_: The slice.
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
