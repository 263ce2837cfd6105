"""The report of preflight, and its layout.

    preflight/
      preflight.json    "schema_version" and the fields of `Report`

Sizes are in bytes, of one core; times in seconds; tokens are target positions, padding included.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.components.train import buckets
from seqline.components.train.preflight.slices import GIB

FILE = "preflight.json"


@dataclass(frozen=True)
class Bucket(buckets.Bucket):
    """One shape of batch with the compiler's results.

    Attributes:
        rows: Pairs in the batch, over all replicas.
        source: Source tokens.
        target: Target tokens.
        steps: Batches of this shape in the whole training; 0 if unknown.
        compiled: Whether it was compiled; otherwise its values are interpolated.
        error: Why it does not compile or fit; empty if it does.
        operation: The op that causes the error, with the line of code that made it.
        hbm_bytes: Memory that a core's program uses.
        flops: FLOP of one core's matrix products.
        moved_bytes: Bytes moved between the core and its HBM.
        reduced_bytes: Bytes summed over the replicas.
        bound: compute, memory or overhead.
        step_seconds: Time of a step.
        tokens_per_second: Throughput of the whole slice.
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
        batch_tokens: The batch; 0 if nothing fits.
        hbm_bytes: Memory that it uses.
        refused_batch_tokens: The smallest batch that was tried and does not fit; 0 if all fit.
    """

    batch_tokens: int
    hbm_bytes: float
    refused_batch_tokens: int = 0


@dataclass(frozen=True)
class Training:
    """The whole training.

    Attributes:
        steps: Number of batches.
        hours: Time of the steps, without starting, evaluating and saving.
        cost: Cost of the slice for that time.
        currency: Currency of the cost.
    """

    steps: int
    hours: float
    cost: float
    currency: str


@dataclass(frozen=True)
class Report(Record):
    """The result of preflight.

    Attributes:
        tpu: The slice, such as v5e:2x2.
        replicas: Its cores.
        hbm_bytes: Memory available to a core's program.
        model: Architecture, preset and precision.
        prices: Date of the prices.
        batch_tokens: The requested batch size.
        buckets: The shapes of batches, by length.
        largest: The largest batch; None if it was not searched.
        training: The whole training; None without a corpus.
        decode: The decoding step as a bucket of that many sentences; None if it was not compiled.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=2, remedy="run preflight again, or use the version of Seqline that wrote the file"
    )

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

    def write_to(self, folder: Path) -> None:
        """Writes preflight.json.

        Args:
            folder: The folder.
        """
        self.write(folder / FILE)

    @property
    def faults(self) -> list[str]:
        """Why training would fail on this slice, with what to do; empty if it would not."""
        broken = [bucket for bucket in self.buckets if bucket.error and not bucket.hbm_bytes]
        if broken:
            where = f" in {broken[0].operation}" if broken[0].operation else ""
            return [f"training does not compile for {self.tpu}: {broken[0].error}{where}"]
        large = [bucket for bucket in self.buckets if bucket.error]
        if not large:
            return []
        largest = max(large, key=lambda bucket: bucket.hbm_bytes)
        advice = "use a smaller preset or another slice"
        if self.largest and self.largest.batch_tokens:
            advice = f"batch_tokens {self.largest.batch_tokens} fits"
        return [
            f"batch_tokens {self.batch_tokens} does not fit {self.tpu}: the batch {largest} needs "
            f"{largest.hbm_bytes / GIB:.2f} GiB of the {self.hbm_bytes / GIB:.2f} GiB of a core; {advice}"
        ]

    @property
    def metrics(self) -> dict[str, float | str]:
        """The totals by name."""
        used = max(bucket.hbm_bytes for bucket in self.buckets if bucket.compiled)
        metrics: dict[str, float | str] = {"tpu": self.tpu, "hbm_share": used / self.hbm_bytes}
        return metrics | (asdict(self.training) if self.training else {})

    def lines(self) -> list[str]:
        """The report as lines of text."""
        lines = [f"{self.model} on {self.tpu}, {self.replicas} cores, prices of {self.prices}"]
        lines += [f"  {line}" for bucket in self.buckets for line in _describe(bucket, self.hbm_bytes)]
        if self.decode:
            lines += [f"  decoding: {line}" for line in _describe(self.decode, self.hbm_bytes)]
        if self.largest:
            refused = self.largest.refused_batch_tokens
            beyond = f"; {refused:,} does not" if refused else ""
            fits = f"batch_tokens {self.largest.batch_tokens:,} fits ({self.largest.hbm_bytes / GIB:.2f} GiB){beyond}"
            lines.append(f"  largest batch: {fits if self.largest.batch_tokens else 'none fits'}")
        if self.training:
            lines.append(
                f"  training: {self.training.steps:,} steps, {self.training.hours:.2f} hours, "
                f"{self.training.cost:,.2f} {self.training.currency}"
            )
        return lines


def _describe(bucket: Bucket, available: float) -> list[str]:
    if bucket.error:
        where = f" in {bucket.operation}" if bucket.operation else ""
        return [f"{bucket}: does not {'fit' if bucket.hbm_bytes else 'compile'}: {bucket.error}{where}"]
    rate = f"{1000 * bucket.step_seconds:.3g} ms a step, {bucket.tokens_per_second:,.0f} tokens/s"
    if not bucket.compiled:
        return [f"{bucket}: about {rate}"]
    return [
        f"{bucket}: HBM {bucket.hbm_bytes / GIB:.2f} of {available / GIB:.2f} GiB, {bucket.flops / 1e9:,.4g} GFLOP, "
        f"{bucket.moved_bytes / 1e9:.3g} GB moved, {bucket.bound}-bound, {rate}"
    ]
