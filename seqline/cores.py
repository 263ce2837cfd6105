"""The cores that a process can use."""

import os
from contextlib import suppress
from pathlib import Path

# The control group of a container's processes, as they see it.
CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path | None = None) -> int:
    """Returns the number of cores that this process may run on, or its container's CPU limit if that is lower.

    More threads than the limit make the kernel pause all of them for the rest of each period.

    Args:
        cgroup: Folder of the control group; by default that of this process.
    """
    cores = len(os.sched_getaffinity(0))
    # A file that is missing or has no number, such as "max", sets no limit.
    for read in (_version_2, _version_1):
        with suppress(OSError, ValueError):
            quota, period = read(cgroup or CGROUP)
            if quota > 0 and period > 0:
                return min(cores, -(-quota // period))
    return cores


def _version_2(cgroup: Path) -> tuple[int, int]:
    quota, period = (cgroup / "cpu.max").read_text().split()
    return int(quota), int(period)


def _version_1(cgroup: Path) -> tuple[int, int]:
    quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    return int(quota), int(period)
