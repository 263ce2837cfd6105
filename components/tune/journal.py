"""The journal of a study: a line a change."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from seqline.atomic import atomic_write
from seqline.buckets import in_bucket, patiently
from seqline.inputs.mirror import Mirror


def open_journal(file: Path, mirror: Mirror | None = None) -> JournalFileBackend:
    """Opens a journal, or begins one.

    Args:
        file: Its file, in a folder that this process holds.
        mirror: The folder's copy in a bucket that is not mounted; None for none.
    """
    if mirror is not None:
        return MirroredJournal(file, mirror)
    return BucketJournal(file) if in_bucket(file) else JournalFileBackend(str(file))


class MirroredJournal(JournalFileBackend):
    """A journal with a copy in a bucket, written after each change.

    Args:
        file: Its file.
        mirror: The copy of its folder.
    """

    def __init__(self, file: Path, mirror: Mirror) -> None:
        self._file, self._mirror = file, mirror
        super().__init__(str(file))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends changes, and replaces the copy.

        Args:
            logs: The changes.
        """
        super().append_logs(logs)
        self._mirror.push(self._file)


class BucketJournal(JournalFileBackend):
    """A journal in a mounted bucket, to which nothing can be appended: it grows on this machine's disk.

    Args:
        file: Its file in the bucket.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        # Deleted with the journal.
        self._folder = tempfile.TemporaryDirectory(prefix="seqline-journal-")
        self._local = Path(self._folder.name) / file.name
        if patiently(file.exists, file):
            patiently(lambda: shutil.copyfile(file, self._local), file)
        super().__init__(str(self._local))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends changes, and replaces the file in the bucket.

        Args:
            logs: The changes.
        """
        super().append_logs(logs)
        atomic_write(self._file, self._local.read_text(encoding="utf-8"))
