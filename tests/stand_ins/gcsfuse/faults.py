"""Faults of a mounted bucket, which happen to the operations that a test chooses."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

# What makes the name of a temporary file new: of mkstemp, of uuid4.
RANDOM = re.compile(r"\.[0-9a-z_]{8}$|\.[0-9a-f]{32}(?=\.)")


@dataclass(frozen=True)
class Fault:
    """A fault of an operation.

    Attributes:
        operation: Its name.
        path: A pattern of the path below the mount.
        times: How often it happens.
        each: Whether so often for each path.
        kill: Whether it kills the calling process; otherwise it is EIO.
    """

    operation: str
    path: str
    times: int = 1
    each: bool = False
    kill: bool = False


class Faults:
    """Counts which faults have happened.

    Args:
        faults: The faults.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults, self.happened = faults, Counter[tuple[int, str]]()

    def due(self, operation: str, path: str) -> Fault | None:
        """Returns the fault that happens now.

        Args:
            operation: The operation.
            path: The path below the mount.
        """
        for number, fault in enumerate(self.faults):
            key = (number, RANDOM.sub("", path) if fault.each else "")
            if fault.operation == operation and fnmatch(path, fault.path) and self.happened[key] < fault.times:
                self.happened[key] += 1
                return fault
        return None

    def left(self) -> list[str]:
        """The patterns of the faults that did not happen yet."""
        happened = {number for number, _ in self.happened}
        return [fault.path for number, fault in enumerate(self.faults) if number not in happened]
