"""How far the running tasks of a run on Vertex are, from Cloud Logging."""

from collections.abc import Mapping
from typing import Any

from seqline.progress import PREFIX, Progress, last_of
from seqline.targets.target import Run, Task
from seqline.targets.task_progress import RefusedError
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


def newest_record(connection: Connection, run: Run, task: Task) -> Progress | None:
    """Reads the newest record of a task.

    Args:
        connection: The connection.
        run: The task's run.
        task: The task; its id is that of its custom job.

    Raises:
        RefusedError: If this caller may not read logs.
    """
    settings = connection.settings
    query = log_query(settings.project, task.id)
    # `:` finds a part of a field: cloud.google.com/logging/docs/view/logging-query-language#comparisons.
    query["filter"] += f' AND (textPayload:"{PREFIX.strip()}" OR jsonPayload.message:"{PREFIX.strip()}")'
    query |= {"orderBy": "timestamp desc", "pageSize": 1}
    base = settings.api_endpoint.rstrip("/") if connection.plain else LOGGING
    response = connection.session.post(f"{base}/v2/entries:list", json=query, timeout=10)
    if response.status_code in (401, 403):
        raise RefusedError
    return last_of(map(line_of, response.json().get("entries", [])))
