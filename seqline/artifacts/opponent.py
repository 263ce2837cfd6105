"""What *champion* reports to *evaluate* about a version that the challenger is compared with.

A missing folder could mean that there is no such version, or that its files are lost. The first lets every comparison
pass and the second none, so the difference is written down. It is passed as a parameter and not in a file, because
every orchestrator includes the values of parameters in the cache key.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqline.artifacts.evaluation import STANDINGS, Standing
from seqline.atomic import atomic_directory, atomic_write

FILE = "opponents.json"


@dataclass(frozen=True)
class Opponent:
    """A version that the challenger is compared with.

    Attributes:
        standing: Why there is nothing to measure: there is no such version (none), it is the challenger itself (same),
            or it is the champion, which another task measures; empty if it is another model.
        problem: Why the version cannot be evaluated: it cannot be identified, or its files cannot be read; empty if it
            can.
        version: Its number; empty for none.
        fingerprint: Its model's fingerprint as it was registered.
        address: Its model's folder, or one in a bucket, such as gs://; empty if there is nothing to measure.
        files: Digest of the names, sizes and times of its files: other files are not a cache hit.
        checked: Time of the check that found the problem: a problem is never a cache hit.
    """

    standing: Standing = ""
    problem: str = ""
    version: str = ""
    fingerprint: str = ""
    address: str = ""
    files: str = ""
    checked: str = ""

    def to_parameter(self) -> dict[str, str]:
        """Returns the value of the parameter."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_parameter(cls, value: Mapping[str, Any]) -> "Opponent":
        """Reads the value of the parameter. A version of which nothing is known cannot be evaluated.

        Args:
            value: The value.
        """
        known = {name: str(one) for name, one in value.items() if name in cls.__dataclass_fields__}
        if not known.get("address") and not known.get("problem") and known.get("standing") not in STANDINGS[1:]:
            return cls(problem="it is not known whether there is a version to compare with")
        return cls(**known)  # type: ignore[arg-type]


def write_opponents(folder: Path, opponents: Mapping[str, Opponent]) -> None:
    """Writes what was found, for people: stages read the parameters.

    Args:
        folder: The artifact's folder to write.
        opponents: The versions by role.
    """
    with atomic_directory(folder, FILE) as written:
        content = {role: one.to_parameter() for role, one in opponents.items()}
        atomic_write(written / FILE, json.dumps(content, indent=1) + "\n")
