"""The record of a run on a laptop: `run.json` in the run's folder.

{"schema_version", and the fields of `seqline.targets.target.Run`: id, state, tasks and so on}
"""

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from seqline.atomic import atomic_write
from seqline.endpoints.process import start_of
from seqline.targets.target import Run, Task

SCHEMA_VERSION = 2
# Names of version 1.
RENAMED = {"place": "root", "figure": "metric"}
FILE = "run.json"
# The stage itself writes how far it is (targets/local_progress.py).
TASK_FIELDS = [field.name for field in fields(Task) if field.name != "progress"]


def write_run(run: Run) -> None:
    """Writes the record of a run, finished or not.

    Args:
        run: The run; its `root` is its folder.
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
        folder: The run's folder. Without a readable `run.json`, only its name and time are known.

    Returns:
        The run; failed if its process ended without recording a final state.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content.pop("schema_version") not in (1, SCHEMA_VERSION):
            raise ValueError("a later version wrote it")
        run = Run(**{**_renamed(content), "tasks": [Task(**_renamed(task)) for task in content["tasks"]]})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        created = folder.stat().st_mtime
        return Run(folder.name, "", "laptop", "failed", created, error=f"no readable {FILE}", root=str(folder))
    if not run.ended and not _is_alive(run):
        run.state, run.error = "failed", "its process has ended; the next run continues from the cached stages"
        for task in run.tasks:
            if task.state == "running":
                task.state = "failed"
    return run


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in values.items()}


def _is_alive(run: Run) -> bool:
    if run.process_started:
        return start_of(run.process) == run.process_started
    try:
        os.kill(run.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
