"""Finds the files that the tasks of a run wrote, in a local folder or a bucket."""

import json
import re
from typing import Any

from seqline.errors import LOGGED
from seqline.inputs.storage import list_files, open_folder

LAUNCHER_LOG = re.compile(r"^executor-logs(-\d+)?$")
# The status message of Vertex when a run's exit task starts.
VERTEX_FAILED_TASKS = re.compile(r"failed tasks? (?:is|are): \[([^\]]+)\]")


class RunFiles:
    """The files of one run, listed once.

    A run's folder has one folder for each task. It is `<root>/<run>` on a laptop, `<root>/<project number>/<run>` on
    Vertex, and `<root>/<pipeline>/<run's id>` on Kubeflow.
    """

    def __init__(self, address: str, *names: str) -> None:
        """Lists the run's files.

        Args:
            address: Of an output of one of its tasks: a path, or a URL such as gs://bucket/runs.
            names: The names that its folder may have.

        Raises:
            ValueError: If no folder above the output has one of them.
            OSError: If the folder cannot be listed.
        """
        self.files, path = open_folder(address)
        parts = path.split("/")
        depths = [depth for depth, part in enumerate(parts[:-1]) if part and part in names]
        if not depths:
            raise ValueError(f"{address} is not in the run's folder")
        self.folder = "/".join(parts[: depths[-1] + 1])
        self.running = parts[depths[-1] + 1]
        """The folder of the task with that output."""
        self.paths: list[str] = sorted(list_files(self.files, self.folder))

    def find(self, name: str) -> list[str]:
        """Returns the sorted paths of the run's files with a name."""
        return [path for path in self.paths if path.rpartition("/")[2] == name]

    def read(self, path: str) -> str:
        """Returns a file's text; bytes that are not UTF-8 are replaced."""
        content: Any = self.files.cat_file(path)
        return bytes(content).decode("utf-8", errors="replace")

    def failed_tasks(self) -> dict[str, str]:
        """Finds the tasks that failed, by their logs, which a laptop and Kubeflow store.

        On a laptop a log is `logs/<task>.log`, and a task that succeeded has an `executor_output.json` in its folder.
        On Kubeflow it is `<task>/<id>/executor-logs`, since 2.17 one for each attempt, and all that a failed task has
        (`uploadOutputArtifacts` in backend/src/v2/component/launcher_v2.go).

        Returns:
            The error message of each failed task, by task.
        """
        found = {}
        for path in sorted(self.paths, key=lambda path: (len(path), path)):
            parts = path.removeprefix(f"{self.folder}/").split("/")
            if parts[0] == "logs" and path.endswith(".log"):
                task = parts[-1].removesuffix(".log")
                failed = f"{self.folder}/{task}/executor_output.json" not in self.paths
            else:
                task, failed = parts[0], LAUNCHER_LOG.match(parts[-1]) is not None and not self._outputs(parts[0])
            if failed and task != self.running:
                found[task] = _error_message(self.read(path))  # attempts are numbered: the last one's remains
        return found

    def complete(self) -> bool:
        """Whether the last task of one of our pipelines has written its output.

        A task that was cached has its output in the folder of another run.
        """
        if decision := self.find("decision.json"):
            blessed = json.loads(self.read(decision[-1])).get("blessed")
            return not blessed or bool(self.find("deployment.json"))
        if self.find("opponents.json"):
            return False
        return any(map(self.find, ("counts.json", "evaluation.json", "monitoring.json")))

    def _outputs(self, task: str) -> list[str]:
        files = (path for path in self.paths if path.startswith(f"{self.folder}/{task}/"))
        return [path for path in files if not LAUNCHER_LOG.match(path.rpartition("/")[2])]


def failed_on_vertex(message: str) -> str:
    """Returns the failed tasks in a status message of Vertex, separated by commas; empty if it names none."""
    match = VERTEX_FAILED_TASKS.search(message)
    return match.group(1) if match else ""


def _error_message(log: str) -> str:
    """Returns the last user error in a log; without one its last lines, where a traceback names the error."""
    messages = LOGGED.findall(log)
    return messages[-1].strip() if messages else "\n".join(log.strip().splitlines()[-5:])
