"""What a laptop writes down about a run: `run.json` in the run's folder.

{"schema_version", and the fields of `seqline.targets.target.Run`: id, state, tasks and so on}
"""

import json
import os
from dataclasses import fields
from pathlib import Path

from seqline.atomic import atomic_write
from seqline.targets.target import Run, Task

SCHEMA_VERSION = 1
FILE = "run.json"
TASK_FIELDS = [field.name for field in fields(Task)]


def write_run(run: Run) -> None:
    """Writes a run down, as far as it has come.

    Args:
        run: The run; its `place` is its folder.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        **{field.name: getattr(run, field.name) for field in fields(run)},
        "tasks": [{name: getattr(task, name) for name in TASK_FIELDS} for task in run.tasks],
    }
    atomic_write(run.folder / FILE, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def read_run(folder: Path) -> Run:
    """Reads a run.

    Args:
        folder: The run's folder. One without a readable `run.json` is a run of which nothing more is known.

    Returns:
        The run. One whose process is gone without having ended it is failed.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("another version wrote it")
        run = Run(**{**content, "tasks": [Task(**task) for task in content["tasks"]]})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        created = folder.stat().st_mtime
        return Run(folder.name, "", "laptop", "failed", created, error=f"no readable {FILE}", place=str(folder))
    if not run.ended and not _is_alive(run.process):
        run.state, run.error = "failed", "its process is gone; the next run continues from the cached stages"
        for task in run.tasks:
            if task.state == "running":
                task.state = "failed"
    return run


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
