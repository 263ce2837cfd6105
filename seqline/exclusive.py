"""Folders that one process at a time works in."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqline.errors import UserError

log = logging.getLogger(__name__)


@contextmanager
def exclusive(folder: Path, work: str) -> Iterator[None]:
    """Holds a folder for this process; the lock ends with the process, however it ends.

    Args:
        folder: An existing folder.
        work: What the process does there, for the message to others: "is training with the same data and options".

    Raises:
        UserError: If another process holds it.
    """
    import fcntl

    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"{holder} {work}, in {folder}: wait for it or stop it, or give another folder as checkpoints"
            ) from None
        except OSError as error:
            # A mounted bucket may have no locks.
            log.warning("%s cannot be locked (%s): make sure that no other process works there", folder, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield
