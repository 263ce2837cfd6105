"""Finds the files that the tasks of a run wrote, in a local folder or a bucket."""

import re
from typing import Any

USER_ERROR = re.compile(r"^seqline\.errors\.UserError: (.*)", re.MULTILINE | re.DOTALL)
# The status message of Vertex when a run's exit task starts.
VERTEX_FAILED_TASKS = re.compile(r"failed tasks? (?:is|are): \[([^\]]+)\]")


class RunFiles:
    """The files of one run, listed once.

    A run's folder is `<root>/<run>` on a laptop and `<root>/<project number>/<run>` on Vertex, which may also pass the
    run's folder itself as the root. It has one folder per task.
    """

    def __init__(self, root: str, run: str) -> None:
        """Lists the run's files.

        Args:
            root: The pipeline root: a folder, or a URL such as gs://bucket/runs.
            run: The run's name; an empty one would match all runs.

        Raises:
            ValueError: If one of the two is empty.
            OSError: If the root cannot be listed.
        """
        from fsspec.core import url_to_fs

        if not root or not run:
            raise ValueError("the pipeline root and the run's name are both needed")
        self.files, path = url_to_fs(root)
        path = path.rstrip("/")
        parts = path.split("/")
        if run in parts:
            candidates = ["/".join(parts[: parts.index(run) + 1])]
        else:
            candidates = [f"{path}/{run}", *self.files.glob(f"{path}/*/{run}")]
        self.folder = next((folder for folder in candidates if self.files.isdir(folder)), "")
        self.paths: list[str] = sorted(self.files.find(self.folder)) if self.folder else []

    def find(self, name: str) -> list[str]:
        """Returns the sorted paths of the run's files with a name."""
        return [path for path in self.paths if path.rpartition("/")[2] == name]

    def read(self, path: str) -> str:
        """Returns a file's text; bytes that are not UTF-8 are replaced."""
        content: Any = self.files.cat_file(path)
        return bytes(content).decode("utf-8", errors="replace")

    def failed_tasks(self, running: str) -> dict[str, str]:
        """Finds the tasks that failed on this machine.

        Only the laptop runner writes logs next to the artifacts: `logs/<task>.log`. A task that succeeded has an
        `executor_output.json` in its folder.

        Args:
            running: The calling task, which has not ended.

        Returns:
            The error message of each failed task, by task.
        """
        logs = [path for path in self.paths if path.startswith(f"{self.folder}/logs/") and path.endswith(".log")]
        found = {}
        for path in logs:
            task = path.rpartition("/")[2].removesuffix(".log")
            if task != running and f"{self.folder}/{task}/executor_output.json" not in self.paths:
                found[task] = _error_message(self.read(path))
        return found


def failed_on_vertex(message: str) -> str:
    """Returns the failed tasks in a status message of Vertex, separated by commas; empty if it names none."""
    match = VERTEX_FAILED_TASKS.search(message)
    return match.group(1) if match else ""


def _error_message(log: str) -> str:
    """Returns the last user error in a log; without one its last lines, where a traceback names the error."""
    messages = USER_ERROR.findall(log)
    return messages[-1].strip() if messages else "\n".join(log.strip().splitlines()[-5:])
