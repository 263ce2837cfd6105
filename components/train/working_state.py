"""The trainer's working state: everything that a killed run needs to continue as if nothing had happened."""

import contextlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

KEPT = 2


class WorkingState:
    """Files that hold variables and progress, each whole: written beside, then renamed. The last two are kept.

    Args:
        folder: Where the files are kept; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def files(self) -> list[Path]:
        """What was saved, the latest first."""
        return sorted(self.folder.glob("state-*.npz"), reverse=True)

    def save(self, groups: dict[str, list[np.ndarray]], progress: dict[str, Any]) -> bool:
        """Saves the state; what was saved before the one before goes.

        Args:
            groups: Lists of arrays by name.
            progress: What else to keep; JSON.

        Returns:
            Whether it was saved. A full disk is reported, and what was saved before stays.
        """
        arrays = {f"{name}/{number}": value for name, values in groups.items() for number, value in enumerate(values)}
        saved = self.files()
        number = int(saved[0].stem.partition("-")[2]) + 1 if saved else 1
        file = self.folder / f"state-{number:08d}.npz"
        unfinished = file.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as opened:
                np.savez(opened, progress=np.array(json.dumps(progress)), **arrays)  # type: ignore[arg-type]
                opened.flush()
                os.fsync(opened.fileno())
            unfinished.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            before = f"{saved[0].name} stays" if saved else "nothing has been saved yet"
            log.warning("the working state cannot be saved in %s (%s); %s; make room", self.folder, error, before)
            return False
        for old in self.files()[KEPT:]:
            old.unlink()
        return True

    def load(self) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
        """Returns what was saved last and can be read, or None. What cannot be read is reported and deleted."""
        for file in self.files():
            try:
                with np.load(file, allow_pickle=False) as saved:
                    groups: dict[str, list[np.ndarray]] = {}
                    for key in saved.files:
                        if key != "progress":
                            groups.setdefault(key.partition("/")[0], []).append(saved[key])
                    return groups, json.loads(str(saved["progress"]))
            except Exception as error:  # noqa: PERF203
                # Whatever a cut or damaged file does to the reader: the one before is as good as it was.
                log.warning("the working state %s cannot be read (%s); going back to the one before it", file, error)
                # Another worker may have been quicker.
                file.unlink(missing_ok=True)
        return None

    def delete(self) -> None:
        """Removes the state of a run that is finished, and the folder above it when that is empty then."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.exists() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()
