"""TPU slices: chips, performance of the cores, and prices."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from seqline.errors import UserError
from seqline.names import nearest

TPUS = Path(__file__).with_name("tpus.yaml")
GIB = 2**30


@dataclass(frozen=True)
class Slice:
    """A TPU slice.

    Attributes:
        version: v2, v3, v4 or v5e.
        topology: Its chips, such as 2x2.
        cores: Cores of a chip; each trains on a part of the batch.
        hertz: Clock rate of a core.
        flops: Peak of a core in bfloat16, FLOP/s.
        hbm_gib: Memory available to a core's program, in GiB.
        bandwidth: Bandwidth between a core and its memory, in bytes/s.
        link: Bandwidth from a core to other chips, in one direction, in bytes/s.
        price: Price of a chip per hour.
        currency: Currency of the price.
        date: Date of the price.
    """

    version: str
    topology: str
    cores: int
    hertz: float
    flops: float
    hbm_gib: float
    bandwidth: float
    link: float
    price: float
    currency: str = "USD"
    date: str = ""

    @property
    def name(self) -> str:
        """Such as v5e:2x2."""
        return f"{self.version}:{self.topology}"

    @property
    def chips(self) -> int:
        """Number of chips."""
        return math.prod(map(int, self.topology.split("x")))

    @property
    def replicas(self) -> int:
        """Cores that share a batch."""
        return self.chips * self.cores

    @property
    def peak_flops(self) -> float:
        """Peak of the whole slice in bfloat16, FLOP/s."""
        return self.flops * self.replicas

    @property
    def price_per_hour(self) -> float:
        """Price of the whole slice per hour."""
        return self.price * self.chips


def read_slice(name: str, tpus: Path = TPUS) -> Slice:
    """Reads the properties of a slice.

    Args:
        name: Version and topology, such as v5e:2x2; the topology defaults to one host.
        tpus: The file of TPUs and prices.

    Raises:
        UserError: If there is no such slice, or the file is not valid.
    """
    import yaml

    try:
        known = yaml.safe_load(tpus.read_text(encoding="utf-8"))
        versions = {
            version: {field: float(value) for field, value in fields.items()}
            for version, fields in known["versions"].items()
        }
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{tpus} is not a valid file of TPUs ({error}); compare it with {TPUS}") from None
    version, _, topology = name.partition(":")
    if version not in versions:
        raise UserError(f"tpu: there is no version {version!r}; {nearest(version, versions)}")
    sides = 3 if version == "v4" else 2
    topology = topology or "x".join(["2", "2", "1"][:sides])
    if not re.fullmatch(r"[1-9]\d*" + r"x[1-9]\d*" * (sides - 1), topology):
        raise UserError(
            f"tpu: {name!r} is not a slice; write {version}:{'x'.join(['2', '2', '1'][:sides])} for one host"
        )
    fields = versions[version]
    try:
        return Slice(
            version, topology, int(fields.pop("cores")), **fields, currency=known["currency"], date=str(known["date"])
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{tpus}: the entry {version} is not valid ({error}); compare it with {TPUS}") from None
