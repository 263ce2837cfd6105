"""How far the stages of a run on this machine are: a folder for each in the run's folder, while the stage runs."""

import shutil
from pathlib import Path

from seqline.progress import last_of, newest
from seqline.targets.target import Run, Task

TAIL_BYTES = 1 << 16


def folder_of(run: Path, task: str) -> Path:
    """The folder into which a stage writes, the value of SEQLINE_PROGRESS.

    Args:
        run: The run's folder.
        task: The task's id.
    """
    return run / "progress" / task


def remove(run: Path, task: str) -> None:
    """Removes what a stage that has ended has written.

    Args:
        run: The run's folder.
        task: The task's id.
    """
    folder = folder_of(run, task)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        shutil.rmtree(folder.parent, ignore_errors=True)


def update(run: Run) -> None:
    """Reads how far the running tasks of a run are.

    Args:
        run: The run.
    """
    for task in run.tasks:
        if task.state == "running":
            # A stage in an image writes into its log, which is on this machine.
            task.progress = newest(folder_of(run.folder, task.id)) or last_of(_tail(run, task))
        else:
            task.progress = None


def _tail(run: Run, task: Task) -> list[str]:
    log = run.folder / "logs" / f"{task.id}.log"
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - TAIL_BYTES, 0))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
