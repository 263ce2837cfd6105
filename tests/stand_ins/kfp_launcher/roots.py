"""In a task's process: artifacts below the pod's root, and a process that is killed at a moment that a test chooses.

The executor of the SDK finds artifacts at /gcs, /minio and /s3 (kfp/dsl/types/artifact_types.py of 2.17.0), which here
are folders of a pod. It is imported in the process that tasks are forked from, so variables are read later; in other
processes, such as that of the tests, there are none, and nothing changes.
"""

import os
import re
import signal
import sys
from typing import Any

from kfp.dsl.types import artifact_types

ROOT = "KFP_LAUNCHER_ROOT"
KILL = "KFP_LAUNCHER_KILL"
FOLDERS = ("/gcs/", "/minio/", "/s3/")

_path, _address = artifact_types.Artifact._get_path, artifact_types.convert_local_path_to_remote_path


def _local(self: artifact_types.Artifact) -> str | None:
    path = _path(self)
    return f"{os.environ.get(ROOT, '')}{path}" if path and path.startswith(FOLDERS) else path


def _remote(path: str) -> str:
    return str(_address(path.removeprefix(os.environ.get(ROOT, ""))))


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    pattern = os.environ.get(KILL)
    if pattern and event in ("open", "os.rename") and re.search(pattern, f"{event} {' '.join(map(str, arguments))}"):
        os.kill(os.getpid(), signal.SIGKILL)


artifact_types.Artifact._get_path = _local
artifact_types.convert_local_path_to_remote_path = _remote
# In tasks only: a hook cannot be removed, and would be called for every import and file of the tests' own process.
os.register_at_fork(after_in_child=lambda: sys.addaudithook(_watch))
