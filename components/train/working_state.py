"""The trainer's working state: everything that a killed run needs to resume with the same result."""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seqline.atomic import flush
from seqline.buckets import in_bucket, patiently, remove, upload
from seqline.components.train.choices import Choices
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.exclusive import exclusive, make_folder
from seqline.inputs.mirror import Mirror

log = logging.getLogger(__name__)

STATE_VERSION = 6
"""To be raised when the batches or the parts of a working state change: a run does not resume from older states."""
FILES = 2
"""Files that are held; older ones are deleted."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError)
"""Errors of a file that was cut short or changed; others, such as of a network, say nothing about the file."""


def run_identity(corpus_fingerprint: str, options: Options, warm_start: str) -> str:
    """Names a run: it resumes from a working state only with the same data and options.

    Options that are auto count as auto, whatever is chosen for them: the working state has the choices.

    `patience` only decides when training ends and is not part of it. Nor are epochs and minutes under the inverse
    square root, which has no end, so that such a run can be resumed with more of them. The other schedules reach zero
    at the end, so with them other epochs or minutes are another run.

    Args:
        corpus_fingerprint: Fingerprint of the corpus.
        options: Options of training as given.
        warm_start: The fingerprint of the checkpoint that training starts from, or else its folder.
    """
    free = {"devices", "xla", "patience"}
    if options.lr_schedule == "inverse_square_root":
        free |= {"epochs", "minutes"}
    values = {name: value for name, value in options.model_dump().items() if name not in free}
    identity = json.dumps([STATE_VERSION, corpus_fingerprint, values, warm_start], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def earlier_choices(folder: Path) -> Choices:
    """Reads what a training that was killed had chosen for options that are auto.

    Args:
        folder: The folder of its working state, which may be missing.

    Returns:
        The choices; none if nothing was saved.

    Raises:
        UserError: If a file cannot be read although it may be whole.
    """
    for file in _files(folder):
        try:
            progress = patiently(partial(_read_progress, file), file)
        except (FileNotFoundError, *DAMAGED):
            continue  # `WorkingState.load` deals with it
        except OSError as error:
            raise _unreadable(file, error) from error
        return Choices.from_dict(progress.get("choices", {}))
    return Choices()


class WorkingState:
    """Files of variables and progress, written atomically.

    Args:
        folder: The folder of the files; made when missing.
        mirror: Its copy in a bucket that is not mounted; None for none. No lock holds there: two runs with the same
            data and options write the same states.
    """

    def __init__(self, folder: Path, mirror: Mirror | None = None) -> None:
        make_folder(folder)
        self.folder, self.mirror = folder, mirror

    def files(self) -> list[Path]:
        """The saved files, the latest first."""
        return _files(self.folder)

    def save(self, groups: dict[str, list[np.ndarray]], progress: dict[str, Any]) -> bool:
        """Saves the state and deletes all files but the last two.

        Args:
            groups: Lists of arrays by name.
            progress: Other values; JSON.

        Returns:
            Whether it was saved. A full disk is logged; the files saved before remain.
        """
        arrays = {f"{name}/{number}": value for name, values in groups.items() for number, value in enumerate(values)}
        saved, unfinished = list[Path](), self.folder / "state.unfinished"
        try:
            saved = self.files()
            number = int(saved[0].stem.partition("-")[2]) + 1 if saved else 1
            file = self.folder / f"state-{number:08d}.npz"
            arrays["progress"] = np.array(json.dumps(progress))
            if in_bucket(self.folder):
                _upload(arrays, unfinished, file)
            else:
                _write(arrays, unfinished)
                unfinished.replace(file)
                flush(self.folder)
            if self.mirror is not None:
                self.mirror.push(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            before = f"{saved[0].name} remains" if saved else "nothing has been saved yet"
            log.warning("the working state cannot be saved in %s (%s); %s; free disk space", self.folder, error, before)
            return False
        for old in self.files()[FILES:]:
            with contextlib.suppress(OSError):  # it is deleted after the next save
                patiently(partial(old.unlink, missing_ok=True), old)
                if self.mirror is not None:
                    self.mirror.drop(old)
        return True

    def load(self) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
        """Returns the latest state that is whole, or None. A damaged file is logged and renamed, never deleted.

        Raises:
            UserError: If a file cannot be read although it may be whole.
        """
        for file in self.files():
            try:
                return patiently(partial(_read, file), file)
            except FileNotFoundError:  # noqa: PERF203
                continue  # another worker has renamed it
            except DAMAGED as error:
                renamed = file.with_name(f"{file.name}.damaged")
                log.warning("the working state %s is damaged (%s); it is now %s", file, error, renamed.name)
                with contextlib.suppress(FileNotFoundError):  # another worker has renamed it
                    file.rename(renamed)
            except OSError as error:
                raise _unreadable(file, error) from error
        parent = self.folder.parent
        if others := len(patiently(lambda: {found.parent for found in parent.glob("*/state-*.npz")}, parent)):
            log.info(
                "%s has working states of %d other runs, whose data, options or version of Seqline differ; training "
                "starts from the start (epochs and minutes are such options unless lr_schedule is inverse_square_root)",
                parent,
                others,
            )
        return None

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Holds the state for this process: two runs with the same data and options would overwrite each other's.

        Raises:
            UserError: If another process holds it.
        """
        return exclusive(self.folder, "is training with the same data and options")

    def delete(self) -> None:
        """Deletes the state of a finished run, and the folder above it if that is then empty."""
        with contextlib.suppress(OSError):
            if self.mirror is not None:
                self.mirror.clear()
            remove(self.folder)
            self.folder.parent.rmdir()  # unless others are in it, or a bucket has forgotten it


def _files(folder: Path) -> list[Path]:
    return patiently(lambda: sorted(folder.glob("state-*.npz"), reverse=True), folder)


def _unreadable(file: Path, error: OSError) -> UserError:
    return UserError(
        f"the working state {file} cannot be read ({error}); nothing was deleted: run again when it can be read, or "
        "delete it to train from the start"
    )


def _read_progress(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as saved:
        found: dict[str, Any] = json.loads(str(saved["progress"]))
        return found


def _read(file: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    with np.load(file, allow_pickle=False) as saved:
        groups: dict[str, list[np.ndarray]] = {}
        for key in saved.files:
            if key != "progress":
                groups.setdefault(key.partition("/")[0], []).append(saved[key])
        return groups, json.loads(str(saved["progress"]))


def _write(arrays: dict[str, np.ndarray], file: Path) -> None:
    with file.open("wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]
        opened.flush()
        os.fsync(opened.fileno())


def _upload(arrays: dict[str, np.ndarray], unfinished: Path, file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="seqline-state-") as folder:
        # Writing a .npz goes back to the sizes of its arrays, and a bucket takes a file in order only.
        local = Path(folder) / file.name
        _write(arrays, local)
        upload(local, unfinished)
    patiently(lambda: unfinished.replace(file), file)
