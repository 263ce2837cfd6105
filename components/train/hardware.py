"""The devices that train: how many, in which precision, how fast."""

from dataclasses import dataclass
from typing import Any

from seqline.components.train.devices import gather, native_bfloat16
from seqline.components.train.flops import matmul_peak
from seqline.components.train.parts import products_at_once


@dataclass(frozen=True)
class Hardware:
    """Properties of the devices that train.

    Attributes:
        replicas: Devices that share a batch.
        precision: float32 or bfloat16.
        device_flops: Peak of one device in FLOP/s, measured.
    """

    replicas: int
    precision: str
    device_flops: float

    @property
    def peak_flops(self) -> float:
        """Peak of all devices together, in FLOP/s."""
        return self.device_flops * self.replicas


def measure_hardware(strategy: Any, precision: str) -> Hardware:
    """Chooses the precision and measures the peak; all workers must call it.

    Args:
        strategy: From `choose_strategy`.
        precision: float32, bfloat16, or auto.
    """
    if precision == "auto":
        # Workers may run on different machines.
        native = all(native for (native,) in gather(strategy, native_bfloat16()))
        precision = "bfloat16" if native else "float32"
    peaks = gather(strategy, matmul_peak(precision, products_at_once()))
    return Hardware(strategy.num_replicas_in_sync, precision, sum(peak for (peak,) in peaks) / len(peaks))
