"""TPU slices: what is rented, what its cores can do, what it costs."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from seqline.errors import UserError

TPUS = Path(__file__).with_name("tpus.yaml")
GIB = 2**30


@dataclass(frozen=True)
class Slice:
    """A TPU slice.

    Attributes:
        version: v2, v3, v4 or v5e.
        topology: Its chips, such as 2x2.
        cores: Of a chip; each trains on a part of the batch.
        hertz: Clock of a core.
        flops: bfloat16 operations of a core, a second.
        hbm_gib: Memory that a core's program may use, in GiB.
        bandwidth: Between a core and its memory, bytes a second.
        link: Between a core and other chips, in one direction, bytes a second.
        price: Of a chip, an hour.
        currency: Of the price.
        date: Of the price.
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
        """How many are rented."""
        return math.prod(map(int, self.topology.split("x")))

    @property
    def replicas(self) -> int:
        """Cores that share a batch."""
        return self.chips * self.cores

    @property
    def price_per_hour(self) -> float:
        """Of the whole slice."""
        return self.price * self.chips


def read_slice(name: str, tpus: Path = TPUS) -> Slice:
    """Reads what is known of a slice.

    Args:
        name: Version and topology, such as v5e:2x2; v2 and v3 without a topology are the eight cores that Vertex has.
        tpus: The file of TPUs and prices.

    Raises:
        UserError: If there is no such slice, or the file is not what it should be.
    """
    import yaml

    try:
        known = yaml.safe_load(tpus.read_text(encoding="utf-8"))
        versions = {
            version: {field: float(value) for field, value in fields.items()}
            for version, fields in known["versions"].items()
        }
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{tpus} is no file of TPUs ({error}); compare it with {TPUS}") from None
    version, _, topology = name.partition(":")
    if version not in versions:
        raise UserError(f"tpu: there is no version {version!r}; there are: {', '.join(versions)}")
    sides = 3 if version == "v4" else 2
    topology = topology or "x".join(["2", "2", "1"][:sides])
    if not re.fullmatch(r"[1-9]\d*" + r"x[1-9]\d*" * (sides - 1), topology):
        raise UserError(f"tpu: {name!r} is no slice; write {version}:{'x'.join(['2', '2', '1'][:sides])} for one host")
    fields = versions[version]
    try:
        return Slice(
            version, topology, int(fields.pop("cores")), **fields, currency=known["currency"], date=str(known["date"])
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{tpus}: {version} is not described as it should be ({error}); compare with {TPUS}") from None
