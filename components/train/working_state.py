"""The trainer's working state: everything that a killed run needs to continue as if nothing had happened."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import UserError


class WorkingState:
    """One file that holds variables and progress, always whole: it is written beside, then renamed.

    Args:
        folder: Where the file is kept; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "state.npz"

    def save(self, groups: dict[str, list[np.ndarray]], progress: dict[str, Any]) -> None:
        """Replaces the saved state.

        Args:
            groups: Lists of arrays by name.
            progress: What else to keep; JSON.
        """
        arrays = {f"{name}/{number}": value for name, values in groups.items() for number, value in enumerate(values)}
        unfinished = self.file.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(file, progress=np.array(json.dumps(progress)), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.file)

    def load(self) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
        """Returns what was saved last, or None.

        Raises:
            UserError: If the file cannot be read.
        """
        if not self.file.exists():
            return None
        try:
            with np.load(self.file, allow_pickle=False) as saved:
                groups: dict[str, list[np.ndarray]] = {}
                for key in saved.files:
                    if key != "progress":
                        groups.setdefault(key.partition("/")[0], []).append(saved[key])
                return groups, json.loads(str(saved["progress"]))
        except Exception as error:
            raise UserError(
                f"the trainer's working state {self.file} cannot be read ({error}); delete it to train from the start"
            ) from error

    def delete(self) -> None:
        """Removes the state of a run that is finished, and the folders that are empty then."""
        self.file.unlink(missing_ok=True)
        for folder in (self.file.parent, self.file.parent.parent):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
