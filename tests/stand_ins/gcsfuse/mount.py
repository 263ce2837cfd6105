"""Mounts the file system in a process of its own: a page fault of this process would wait for itself."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqline.children import ending_with_parent
from tests.stand_ins.gcsfuse.faults import Fault

CAP_SYS_ADMIN = 21  # capabilities(7); without root, fusermount3 has it


def missing() -> str:
    """What a mount lacks on this machine; empty if it can be made."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse that this user may open"
    capabilities = re.search(r"(?m)^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(encoding="utf-8"))
    if os.geteuid() == 0 and capabilities and not int(capabilities[1], 16) >> CAP_SYS_ADMIN & 1:
        return "this container may not mount: start it with --cap-add SYS_ADMIN"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: without the C library
        return f"libfuse cannot be loaded ({error}): apt-get install fuse3"
    return ""


class Mount:
    """A bucket and its mount.

    Two mounts of the same objects are two machines.

    Args:
        objects: The folder of the objects.
        path: The mount point; both are made when missing.
    """

    def __init__(self, objects: Path, path: Path) -> None:
        self.objects, self.path = objects, path
        self._faults: list[Fault] = []

    @contextmanager
    def running(self) -> Iterator["Mount"]:
        """Mounts the bucket within the block."""
        for folder in (self.objects, self.path):
            folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.stand_ins.gcsfuse.file_system", str(self.objects), str(self.path)]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            preexec_fn=ending_with_parent(),
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "mounted\n"
                yield self
            finally:
                process.terminate()

    def fail(self, operation: str, path: str = "*", times: int = 1, each: bool = False) -> None:
        """Lets an operation fail with EIO.

        Args:
            operation: getattr, readdir, create, open, read, write, flush, rename, unlink or mkdir.
            path: A pattern of the path below the mount.
            times: How often, before it works.
            each: Whether so often for each path.
        """
        self._add(Fault(operation, path, times, each))

    def kill(self, operation: str, path: str) -> None:
        """Lets the process that first calls an operation be killed by SIGKILL.

        Args:
            operation: As of `fail`.
            path: A pattern of the path below the mount.
        """
        self._add(Fault(operation, path, kill=True))

    def slow(self, seconds: float) -> None:
        """Lets every operation take some time.

        Args:
            seconds: The time.
        """
        self._set("delay", str(seconds))

    def work(self) -> None:
        """Lets all operations work again, and fast."""
        self._faults = []
        self._set("faults", "[]")
        self._set("delay", "0")

    def forget_empty_folders(self) -> None:
        """Forgets folders without objects, as another machine never knew them."""
        self._set("forget", "")

    def left(self) -> list[str]:
        """The patterns of the faults that did not happen yet."""
        return list(json.loads(os.getxattr(self.path, "user.faults")))

    def _add(self, fault: Fault) -> None:
        self._faults.append(fault)
        self._set("faults", json.dumps([vars(one) for one in self._faults]))

    def _set(self, name: str, value: str) -> None:
        os.setxattr(self.path, f"user.{name}", value.encode())
