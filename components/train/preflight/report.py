"""What preflight says, and its layout.

    preflight/
      preflight.json    the fields of `Report`, with its "schema_version"

Sizes are in bytes, of one core; times in seconds; tokens are target positions, padding included.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seqline.atomic import atomic_write
from seqline.components.train import buckets
from seqline.components.train.preflight.slices import GIB

SCHEMA_VERSION = 1
FILE = "preflight.json"


@dataclass(frozen=True)
class Bucket(buckets.Bucket):
    """One shape of batch, and what the compiler said of it.

    Attributes:
        rows: Pairs in the batch, over all replicas.
        source: Source pieces.
        target: Target pieces.
        steps: Batches of this shape in the whole of training; 0 where that is not known.
        compiled: Whether the compiler was asked; if not, its figures lie between those of its neighbours.
        error: Why it does not compile or fit; empty if it does.
        operation: The op that the error is about, with the line of code that made it.
        hbm_bytes: That a core's program uses.
        flops: Of the matrix products of one core.
        moved_bytes: Between the core and its HBM.
        reduced_bytes: Summed over the replicas.
        bound: compute, memory or overhead.
        step_seconds: Of a step.
        tokens_per_second: On the whole slice.
    """

    steps: int = 0
    compiled: bool = True
    error: str = ""
    operation: str = ""
    hbm_bytes: float = 0.0
    flops: float = 0.0
    moved_bytes: float = 0.0
    reduced_bytes: float = 0.0
    bound: str = ""
    step_seconds: float = 0.0
    tokens_per_second: float = 0.0

    @property
    def lengths(self) -> int:
        """Positions of a row, on both sides."""
        return self.source + self.target


@dataclass(frozen=True)
class Largest:
    """The largest batch that fits, found on the longest bucket.

    Attributes:
        batch_tokens: It; 0 if nothing fits.
        hbm_bytes: That it uses.
        refused_batch_tokens: The smallest that was tried and does not fit; 0 if all that were tried do.
    """

    batch_tokens: int
    hbm_bytes: float
    refused_batch_tokens: int = 0


@dataclass(frozen=True)
class Training:
    """The whole of training.

    Attributes:
        steps: Batches.
        hours: Of the steps; starting, evaluating and saving come on top.
        cost: Of the slice for as long.
        currency: Of the cost.
    """

    steps: int
    hours: float
    cost: float
    currency: str


@dataclass(frozen=True)
class Report:
    """What preflight says.

    Attributes:
        tpu: The slice, such as v5e:2x2.
        replicas: Its cores.
        hbm_bytes: That a core's program may use.
        model: Architecture, preset and precision.
        prices: Of which day they are.
        batch_tokens: That were asked for.
        buckets: By length.
        largest: The largest batch; None if it was not asked for.
        training: The whole; None where the corpus is not known.
        decode: The decoding step as a bucket of that many sentences; None if it was not asked for.
    """

    tpu: str
    replicas: int
    hbm_bytes: float
    model: str
    prices: str
    batch_tokens: int
    buckets: list[Bucket]
    largest: Largest | None = None
    training: Training | None = None
    decode: Bucket | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    def write(self, folder: Path) -> None:
        """Writes preflight.json.

        Args:
            folder: Where.
        """
        atomic_write(folder / FILE, json.dumps(asdict(self), indent=1) + "\n")

    @property
    def faults(self) -> list[str]:
        """Why training would fail on this slice, a sentence each, with what to do; empty if it would not."""
        broken = [bucket for bucket in self.buckets if bucket.error and not bucket.hbm_bytes]
        if broken:
            where = f" in {broken[0].operation}" if broken[0].operation else ""
            return [f"training does not compile for {self.tpu}: {broken[0].error}{where}"]
        large = [bucket for bucket in self.buckets if bucket.error]
        if not large:
            return []
        most = max(large, key=lambda bucket: bucket.hbm_bytes)
        advice = "take a smaller preset or another slice"
        if self.largest and self.largest.batch_tokens:
            advice = f"batch_tokens {self.largest.batch_tokens} fits"
        return [
            f"batch_tokens {self.batch_tokens} does not fit {self.tpu}: the batch {most} needs "
            f"{most.hbm_bytes / GIB:.2f} GiB of the {self.hbm_bytes / GIB:.2f} GiB of a core; {advice}"
        ]

    @property
    def figures(self) -> dict[str, float | str]:
        """The whole's figures by name."""
        compiled = [bucket for bucket in self.buckets if bucket.compiled]
        used = max(bucket.hbm_bytes for bucket in compiled)
        figures: dict[str, float | str] = {"tpu": self.tpu, "hbm_share": used / self.hbm_bytes}
        if self.training:
            figures |= asdict(self.training)
        return figures

    def lines(self) -> list[str]:
        """The report as lines of text."""
        said = [f"{self.model} on {self.tpu}, {self.replicas} cores, prices of {self.prices}"]
        said += [f"  {line}" for bucket in self.buckets for line in _describe(bucket, self.hbm_bytes)]
        if self.decode:
            said += [f"  decoding: {line}" for line in _describe(self.decode, self.hbm_bytes)]
        if self.largest:
            refused = self.largest.refused_batch_tokens
            beyond = f"; {refused:,} does not" if refused else ""
            fits = f"batch_tokens {self.largest.batch_tokens:,} fits ({self.largest.hbm_bytes / GIB:.2f} GiB){beyond}"
            said.append(f"  largest batch: {fits if self.largest.batch_tokens else 'none fits'}")
        if self.training:
            said.append(
                f"  training: {self.training.steps:,} steps, {self.training.hours:.2f} hours, "
                f"{self.training.cost:,.2f} {self.training.currency}"
            )
        return said


def _describe(bucket: Bucket, available: float) -> list[str]:
    if bucket.error:
        where = f" in {bucket.operation}" if bucket.operation else ""
        return [f"{bucket}: does not {'fit' if bucket.hbm_bytes else 'compile'}: {bucket.error}{where}"]
    about = "" if bucket.compiled else "about "
    figures: list[Any] = [f"{about}{1000 * bucket.step_seconds:.3g} ms a step"]
    figures.append(f"{bucket.tokens_per_second:,.0f} tokens/s")
    if bucket.compiled:
        figures.insert(0, f"HBM {bucket.hbm_bytes / GIB:.2f} of {available / GIB:.2f} GiB")
        figures.insert(
            1, f"{bucket.flops / 1e9:,.4g} GFLOP, {bucket.moved_bytes / 1e9:.3g} GB moved, {bucket.bound}-bound"
        )
    return [f"{bucket}: {', '.join(figures)}"]
