"""Folders that one process at a time works in.

The kernel's lock ends with its process, but holds on one machine only: a mounted bucket has none for others, and a
network's file system may keep the lock of a machine that was lost, for minutes with NFS 4 and for good with NFS 3.
There the process also writes until when it holds the folder, and renews that while it works. Another one waits until
then: the holder may have been killed, and this may be the attempt that continues its work, in another pod.
"""

import errno
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from seqline.atomic import atomic_write
from seqline.buckets import in_bucket, on_network, patiently
from seqline.documentation import page
from seqline.errors import UserError

log = logging.getLogger(__name__)

LEASE = 180.0
"""Seconds for which a process holds a folder of a bucket without renewing it: gcsfuse may show others an object as it
was a minute ago (docs/semantics.md of GoogleCloudPlatform/gcsfuse, Stat caching)."""
RENEWAL = 45.0
"""Seconds between renewals."""


@contextmanager
def exclusive(
    folder: Path,
    work: str,
    sleep: Callable[[float], Any] = time.sleep,
    machine: str = "",
) -> Iterator[None]:
    """Holds a folder for this process; the lock ends with the process, however it ends.

    Args:
        folder: The folder; made when missing.
        work: What the process does there, for the message to others: "is training with the same data and options".
        sleep: Waits some seconds.
        machine: What tells this machine from others; by default its name and its boot.

    Raises:
        UserError: If another process holds it.
    """
    make_folder(folder)
    with ExitStack() as stack:
        if in_bucket(folder) or on_network(folder):
            # Of the other processes on this machine, only the kernel knows whether they live.
            name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
            _lock(stack, Path(tempfile.gettempdir()) / f"seqline-{os.getuid()}-{name}.lock", folder, work)
            stack.enter_context(_leased(folder, work, sleep, machine or _machine()))
        else:
            _lock(stack, folder / "lock", folder, work)
        yield


def make_folder(folder: Path) -> None:
    """Makes a folder that this process writes in, if it is missing.

    Args:
        folder: The folder.

    Raises:
        UserError: If this process cannot write there.
    """
    try:
        patiently(lambda: folder.mkdir(parents=True, exist_ok=True), folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"user {os.getuid()} cannot write in {folder} ({error.strerror}): give the folder to this user, or choose "
        f"another one; on Kubeflow see {page('kubeflow.md', 'Resume training after a lost pod')}"
    )


def _lock(stack: ExitStack, file: Path, folder: Path, work: str) -> None:
    import fcntl

    opened: IO[str] = stack.enter_context(file.open("a+", encoding="utf-8"))
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        opened.seek(0)
        raise _held(opened.read().strip(), work, folder) from None
    except OSError as error:
        log.warning("%s cannot be locked (%s): make sure that no other process works there", folder, error)
    opened.truncate(0)
    opened.write(_process())
    opened.flush()


@contextmanager
def _leased(folder: Path, work: str, sleep: Callable[[float], Any], machine: str) -> Iterator[None]:
    file, owner = folder / "lock", uuid4().hex
    found = _read(file)
    if found and found.get("machine") != machine:
        log.info("%s %s, in %s; waiting whether it still runs", found.get("holder"), work, folder)
        # By this machine's clock alone, because the other's may differ.
        waited = 0.0
        while waited < LEASE and found:
            sleep(RENEWAL / 3)
            waited += RENEWAL / 3
            renewed = _read(file)
            if renewed and renewed != found:
                raise _held(str(renewed.get("holder", "")), work, folder)
            found = renewed
    number = 0

    def renew() -> None:
        nonlocal number
        number += 1
        content = {"holder": _process(), "machine": machine, "owner": owner, "number": number}
        atomic_write(file, json.dumps(content) + "\n")

    renew()
    # Two that found it free have both written: the later one holds it.
    if (now := _read(file)) and now.get("owner") != owner:
        raise _held(str(now.get("holder", "")), work, folder)
    ended = threading.Event()

    def try_to_renew() -> None:
        try:
            holder = _read(file)
            if holder and holder.get("owner") == owner:
                renew()
            elif holder:
                log.error("%s now also works in %s: stop one of the two", holder.get("holder"), folder)
        except OSError as error:
            log.warning("%s cannot be held (%s): another process may start to work there", folder, error)

    def renew_until_the_end() -> None:
        while not ended.wait(RENEWAL):
            try_to_renew()

    renewing = threading.Thread(target=renew_until_the_end, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with suppress(OSError):
            if (_read(file) or {}).get("owner") == owner:
                file.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any] | None:
    """The holder's content; None if nobody holds the folder."""
    try:
        content = json.loads(patiently(lambda: file.read_text(encoding="utf-8"), file))
    except FileNotFoundError:
        return None
    except ValueError:  # of an older version
        return {"holder": "another process"}
    return content if isinstance(content, dict) else {"holder": "another process"}


def _held(holder: str, work: str, folder: Path) -> UserError:
    return UserError(
        f"{holder or 'another process'} {work}, in {folder}: wait for it or stop it, or give another folder as "
        "checkpoints"
    )


def _process() -> str:
    return f"process {os.getpid()} on {os.uname().nodename}"


def _machine() -> str:
    # Containers of one machine may share its name and its boot; the kernel's lock is then in another temporary folder.
    boot, folder = Path("/proc/sys/kernel/random/boot_id"), Path(tempfile.gettempdir()).stat()
    return f"{os.uname().nodename} {boot.read_text().strip() if boot.exists() else ''} {folder.st_dev} {folder.st_ino}"
