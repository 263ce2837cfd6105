"""The devices that train: how many, in which precision, how fast."""

from dataclasses import dataclass
from typing import Any

from seqline.components.train.devices import gather, native_bfloat16
from seqline.components.train.flops import matmul_peak
from seqline.components.train.memory import device_memory
from seqline.components.train.parts import products_at_once


@dataclass(frozen=True)
class Hardware:
    """Properties of the devices that train.

    Attributes:
        replicas: Devices that share a batch.
        precision: float32 or bfloat16.
        device_flops: Peak of one device in FLOP/s, measured.
        memory: Bytes of each device; of workers, the least that is known; 0 if none is.
    """

    replicas: int
    precision: str
    device_flops: float
    memory: float = 0

    @property
    def peak_flops(self) -> float:
        """Peak of all devices together, in FLOP/s."""
        return self.device_flops * self.replicas


def measure_hardware(strategy: Any, precision: str) -> Hardware:
    """Chooses the precision, measures the peak and looks up the memory; all workers must call it.

    Args:
        strategy: From `choose_strategy`.
        precision: float32, bfloat16, or auto.
    """
    if precision == "auto":
        # Workers may run on different machines.
        native = all(native for (native,) in gather(strategy, native_bfloat16()))
        precision = "bfloat16" if native else "float32"
    measured = gather(strategy, matmul_peak(precision, products_at_once()), device_memory()[0])
    peaks, memories = zip(*measured, strict=True)
    least = min(filter(None, memories), default=0)
    return Hardware(strategy.num_replicas_in_sync, precision, sum(peaks) / len(peaks), least)
