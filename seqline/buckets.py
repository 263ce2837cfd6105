"""Mounted buckets: object stores that look like a disk, such as /gcs on Vertex.

What a program may expect of one is less than of a disk (docs/semantics.md of GoogleCloudPlatform/gcsfuse): a folder
with files cannot be renamed, a part of a file cannot be replaced, others see a file once it is closed, a folder without
files may be forgotten, locks hold on one machine only, and a request may fail once.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")

VARIABLE = "SEQLINE_BUCKETS"
"""Environment variable with the folders that are mounted buckets, separated by colons; empty for none. Without it, they
are recognized by their path and by the type of their file system."""
VERTEX = Path("/gcs")
"""Where Vertex mounts all buckets: https://cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system."""
KUBEFLOW = "KFP_POD_NAME"
"""Environment variable of a task's pod: backend/src/v2/compiler/argocompiler/common.go of kubeflow/pipelines."""
MOUNTS = Path("/proc/self/mountinfo")
DISKS = {"fuse.bindfs", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.sshfs"}
"""Types of FUSE that rename folders as a disk does; fuseblk, of NTFS and exFAT, is not called `fuse.`."""
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "beegfs", "gpfs", "glusterfs", "9p", "virtiofs", "ocfs2"}
"""Types of file systems that several machines mount, such as a claim with ReadWriteMany."""
PASSING = {errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECANCELED}
"""What gcsfuse returns for a request that failed after its own retries (internal/fs/wrappers/error_mapping.go)."""
PAUSES = (0.1, 0.4, 1.6, 6.4)
"""Seconds before each of the attempts after the first."""


def in_bucket(path: str | Path) -> bool:
    """Whether a path is in a mounted bucket.

    Args:
        path: A path, which may not exist yet.
    """
    path = Path(os.path.realpath(path))
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return any(path.is_relative_to(os.path.realpath(one)) for one in chosen.split(":") if one)
    if path.is_relative_to(VERTEX):
        return True
    kind = _file_system(path)
    return (kind == "fuse" or kind.startswith("fuse.")) and kind not in DISKS


def on_network(path: str | Path) -> bool:
    """Whether a path is in a network's file system, which other machines may mount as well.

    Args:
        path: A path, which may not exist yet.
    """
    return _file_system(Path(os.path.realpath(path))) in NETWORK


def mounted(address: str) -> str:
    """The path below /gcs of an address gs://, where buckets are mounted there; any other is unchanged.

    Args:
        address: A path or an address.
    """
    if not address.startswith("gs://"):
        return address
    path = f"{VERTEX}/{address.removeprefix('gs://')}"
    # In a pod of Kubeflow /gcs holds copies of artifacts, and ends with the pod.
    return address if KUBEFLOW in os.environ and not _file_system(Path(path)).startswith("fuse") else path


def patiently(action: Callable[[], Result], path: str | Path) -> Result:
    """Repeats an action in a mounted bucket while it fails for a reason that may pass; on a disk, runs it once.

    Args:
        action: The action, which may be repeated after a part of it.
        path: The file, which decides.

    Returns:
        What it returns.
    """
    for pause in PAUSES:
        try:
            return action()
        except OSError as error:
            if error.errno not in PASSING or not in_bucket(path):
                raise
            log.warning("%s: %s; trying again in %g s", path, error.strerror, pause)
        time.sleep(pause)
    return action()


def upload(file: Path, target: Path) -> None:
    """Copies a file of this machine to a mounted bucket, and checks that all of it is there.

    A process that is killed meanwhile leaves a part: gcsfuse makes an object of what was written.

    Args:
        file: The file.
        target: The file to write; its folder is made when missing.

    Raises:
        OSError: If it cannot be written.
    """

    def copy() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        written, size = target.stat().st_size, file.stat().st_size
        if written != size:
            raise OSError(errno.EIO, f"{written} of {size} bytes were written", str(target))

    patiently(copy, target)


def remove(folder: Path) -> None:
    """Deletes a folder with all that is in it, if it is there.

    Args:
        folder: The folder, on a disk or in a mounted bucket, which forgets it with its last file.

    Raises:
        OSError: If something in it cannot be deleted.
    """

    def unless_gone(function: object, path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            raise error[1]

    for file in files_below(folder):
        patiently(partial(file.unlink, missing_ok=True), file)
    shutil.rmtree(folder, onerror=unless_gone)


def files_below(folder: Path) -> list[Path]:
    """Returns all files below a folder, sorted; none where there is no folder.

    Args:
        folder: The folder.
    """

    def unless_gone(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    def walk() -> list[Path]:
        found = os.walk(folder, onerror=unless_gone)
        return sorted(Path(parent) / name for parent, _, names in found for name in names)

    return patiently(walk, folder)


def _file_system(path: Path) -> str:
    """The type of the file system that holds a path; empty where it is not known."""
    device = _device(path)
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return ""
    # proc(5): "36 35 98:0 /root /mount/point options [fields] - type source options".
    found = [line.partition(" - ")[2].split(" ")[0] for line in lines if line.split(" ")[2] == number]
    return found[-1] if found else ""


def _device(path: Path) -> int:
    """The device of a path, or else of the nearest folder above it that answers."""
    for one in (path, *path.parents):
        with suppress(OSError):
            return one.stat().st_dev
    return 0
