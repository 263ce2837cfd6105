"""How far the running tasks of a run on Vertex are: the newest record in each one's log."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from seqline.progress import PREFIX, Progress, last_of
from seqline.targets.target import Run
from seqline.targets.vertex.connection import Connection

# Cloud Logging answers 60 requests to read a minute and project: cloud.google.com/logging/quotas.
SECONDS = 20.0
LOGGING = "https://logging.googleapis.com"


def log_query(project: str, job: str) -> dict[str, Any]:
    """A request for the log of a custom job: entries.list of logging.googleapis.com/v2.

    Args:
        project: The project.
        job: The job's id.
    """
    # resource.type and its label: cloud.google.com/vertex-ai/docs/training/monitor-debug#view-logs.
    wanted = f'resource.type="ml_job" AND resource.labels.job_id="{job}"'
    return {"resourceNames": [f"projects/{project}"], "filter": wanted, "orderBy": "timestamp asc", "pageSize": 1000}


def line_of(entry: Mapping[str, Any]) -> str:
    """The text of a log's entry.

    Args:
        entry: The entry.
    """
    return str(entry.get("textPayload") or entry.get("jsonPayload", {}).get("message", ""))


class TaskProgress:
    """Reads the newest record of a task now and then; without permission to read logs, none.

    Args:
        connection: The connection.
        clock: The time in seconds, from any start.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self.connection, self.clock = connection, clock
        self.found: dict[str, tuple[float, Progress | None]] = {}
        self.refused = False

    def update(self, run: Run) -> Run:
        """Sets the progress of the running tasks.

        Args:
            run: The run.

        Returns:
            The same run.
        """
        for task in run.tasks:
            if task.state == "running" and task.id:
                task.progress = self._of(task.id)
        return run

    def _of(self, job: str) -> Progress | None:
        when, known = self.found.get(job, (-SECONDS, None))
        now = self.clock()
        if not self.refused and now - when >= SECONDS:
            known = self._newest(job) or known
            self.found[job] = now, known
        return known

    def _newest(self, job: str) -> Progress | None:
        settings = self.connection.settings
        query = log_query(settings.project, job)
        # `:` finds a part of a field: cloud.google.com/logging/docs/view/logging-query-language#comparisons.
        query["filter"] += f' AND (textPayload:"{PREFIX.strip()}" OR jsonPayload.message:"{PREFIX.strip()}")'
        query |= {"orderBy": "timestamp desc", "pageSize": 1}
        base = settings.api_endpoint.rstrip("/") if self.connection.plain else LOGGING
        try:
            response = self.connection.session.post(f"{base}/v2/entries:list", json=query, timeout=10)
            if response.status_code in (401, 403):
                self.refused = True
            return last_of(map(line_of, response.json().get("entries", [])))
        except Exception:  # a look at the progress must not end a watch
            return None
