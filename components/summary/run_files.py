"""Finds what the tasks of a run left, in a local folder or a bucket."""

import re
from typing import Any

USER_ERROR = re.compile(r"^components\.errors\.UserError: (.*)", re.MULTILINE | re.DOTALL)
# What Vertex says when a run's exit task starts.
VERTEX_FAILED_TASKS = re.compile(r"failed tasks? (?:is|are): \[([^\]]+)\]")


class RunFiles:
    """The files of one run, listed once.

    A run's folder is `<root>/<run>` on a laptop and `<root>/<project number>/<run>` on Vertex, which may
    also hand out a root that is the run's folder already. Under it there is a folder a task.
    """

    def __init__(self, root: str, run: str) -> None:
        """Lists the run's files.

        Args:
            root: The pipeline root: a folder, or an address such as gs://bucket/runs.
            run: The run's name, never empty: an empty one would mix all runs.

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
        """Paths of the run's files of that name, in order."""
        return [path for path in self.paths if path.rpartition("/")[2] == name]

    def read(self, path: str) -> str:
        """A file's text; bytes that are not UTF-8 are replaced."""
        content: Any = self.files.cat_file(path)
        return bytes(content).decode("utf-8", errors="replace")

    def failed_tasks(self, running: str) -> dict[str, str]:
        """Tasks that ran here and did not end well, with what they said.

        Only the laptop runner keeps logs beside the artifacts: `logs/<task>.log`. A task that ended well has
        left an `executor_output.json` in its folder.

        Args:
            running: The task that asks, which has not ended.

        Returns:
            What each failed task said, by task.
        """
        logs = [path for path in self.paths if path.startswith(f"{self.folder}/logs/") and path.endswith(".log")]
        found = {}
        for path in logs:
            task = path.rpartition("/")[2].removesuffix(".log")
            if task != running and f"{self.folder}/{task}/executor_output.json" not in self.paths:
                found[task] = _last_words(self.read(path))
        return found


def failed_on_vertex(message: str) -> str:
    """The tasks that a message of Vertex names as failed, with commas; empty if it names none."""
    named = VERTEX_FAILED_TASKS.search(message)
    return named.group(1) if named else ""


def _last_words(log: str) -> str:
    """The message for the user that ended a log; else its last lines, where a traceback names its error."""
    messages = USER_ERROR.findall(log)
    return messages[-1].strip() if messages else "\n".join(log.strip().splitlines()[-5:])
