"""Runs on Vertex: pipeline jobs, and their view in the command line."""

import copy
import datetime
import itertools
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from seqline.configuration.vertex import VertexTarget
from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.options import whole_numbers
from seqline.targets.target import Run, State, Task
from seqline.targets.vertex.carried import require_carried
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.progress import LOGGING, line_of, log_query
from seqline.vertex_api.run_page import page_of

MANAGED = {"managed-by": "seqline"}
JOB_STATES: dict[str, State] = {
    "QUEUED": "pending",
    "PENDING": "pending",
    "RUNNING": "running",
    "CANCELLING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "PAUSED": "pending",
}
# Vertex calls a cached task skipped, and one whose condition was false not triggered.
TASK_STATES: dict[str, State] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "CANCEL_PENDING": "running",
    "CANCELLING": "running",
    "SUCCEEDED": "succeeded",
    "SKIPPED": "cached",
    "NOT_TRIGGERED": "skipped",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


def new_id(pipeline: str) -> str:
    """A new id of a run; it is set before the first attempt, so that a retry starts the same run.

    Args:
        pipeline: The pipeline's name.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{pipeline[:100]}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


def pipeline_job(
    spec: Mapping[str, Any],
    arguments: Mapping[str, Any],
    settings: VertexTarget,
    cache: bool | None = None,
    template: str = "",
    labels: Mapping[str, str] = {},
) -> Any:
    """Builds the request to run a pipeline.

    Args:
        spec: The compiled pipeline.
        arguments: Values of its parameters by name; the rest keep their defaults.
        settings: The configuration's `targets.vertex`.
        cache: False to cache no task; otherwise the pipeline's own setting.
        template: Address of the spec's uploaded version; empty for none.
        labels: In addition to the configured ones.

    Returns:
        A `PipelineJob` of google-cloud-aiplatform.

    Raises:
        UserError: If a Dataflow job of the parameters would lack the key or the labels.
    """
    from google.cloud.aiplatform_v1 import EncryptionSpec, PipelineJob

    require_carried(arguments, settings)
    job = PipelineJob(
        display_name=spec["pipelineInfo"]["name"],
        pipeline_spec=_without_cache(spec) if cache is False else dict(spec),
        labels={**settings.labels, **MANAGED, **labels},
        runtime_config=PipelineJob.RuntimeConfig(
            gcs_output_directory=settings.pipeline_root, parameter_values=dict(arguments)
        ),
        service_account=settings.service_account,
        network=settings.network,
        reserved_ip_ranges=list(settings.reserved_ip_ranges),
        psc_interface_config=settings.psc_interface or None,
        template_uri=template if template.startswith("https://") else "",
    )
    if settings.encryption_key:
        job.encryption_spec = EncryptionSpec(kms_key_name=settings.encryption_key)
    return job


def _without_cache(spec: Mapping[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(spec))
    for part in (changed["root"], *changed["components"].values()):
        for task in part.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}
    return changed


class Jobs:
    """Starts, finds, cancels and logs runs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings

    def start(self, job: Any, id_: str) -> Run:
        """Starts a run.

        Args:
            job: From `pipeline_job`.
            id_: From `new_id`.
        """
        from google.api_core.exceptions import NotFound

        client, parent = self.connection.pipelines, self.connection.parent
        name = f"{parent}/pipelineJobs/{id_}"

        def look() -> Any:
            try:
                return client.get_pipeline_job(name=name)
            except NotFound:
                return None

        def create() -> Any:
            return client.create_pipeline_job(parent=parent, pipeline_job=job, pipeline_job_id=id_)

        return self.shown(self.connection.write(f"start run {id_}", look, create))

    def list(self, pipeline: str, limit: int) -> list[Run]:
        """The newest runs of this project and region, also those of other callers."""
        request: dict[str, Any] = {"parent": self.connection.parent, "order_by": "create_time desc"}
        if pipeline:
            request["filter"] = f'pipeline_name="{pipeline}"'
        newest = self.connection.read(
            "list the runs",
            lambda: list(itertools.islice(self.connection.pipelines.list_pipeline_jobs(request=request), limit)),
        )
        return [self.shown(job) for job in newest]

    def find(self, run: str) -> Run:
        """Looks a run up by its id; `latest` is the newest."""
        if run == "latest":
            newest = self.list("", 1)
            if not newest:
                raise UserError(f"no runs in {self.connection.parent}; `seqline run --target vertex` starts one")
            run = newest[0].id
        name = f"{self.connection.parent}/pipelineJobs/{run}"
        job = self.connection.read(f"look up run {run}", lambda: self.connection.pipelines.get_pipeline_job(name=name))
        return self.shown(job)

    def spec(self, run: str) -> dict[str, Any]:
        """The compiled pipeline of a run."""
        name = f"{self.connection.parent}/pipelineJobs/{run}"
        job = self.connection.read(f"look up run {run}", lambda: self.connection.pipelines.get_pipeline_job(name=name))
        return spec_of(job)

    def cancel(self, run: str) -> Run:
        """Requests that a run stops."""
        found = self.find(run)
        if found.ended:
            return found
        name = f"{self.connection.parent}/pipelineJobs/{found.id}"

        def look() -> Run | None:
            now = self.find(found.id)
            return now if now.ended else None

        # A second request to stop changes nothing.
        self.connection.write(
            f"cancel run {found.id}",
            look,
            lambda: self.connection.pipelines.cancel_pipeline_job(name=name) or found,
        )
        return self.find(found.id)

    def logs(self, run: str, task: str) -> Iterator[str]:
        """The output of the tasks, from Cloud Logging, where each task's custom job writes."""
        found = self.find(run)
        chosen = [one for one in found.tasks if task in ("", one.name, one.id)]
        if task and not chosen:
            raise UserError(f"run {found.id} has no task {task!r}; {nearest(task, [one.name for one in found.tasks])}")
        for one in chosen:
            prefix = "" if task else f"{one.name}: "
            for line in self._lines(one.id) if one.id else []:
                yield prefix + line

    def _lines(self, job: str) -> Iterator[str]:
        base = self.settings.api_endpoint.rstrip("/") if self.connection.plain else LOGGING
        query = log_query(self.settings.project, job)
        while True:
            answer = self.connection.read("read the logs", lambda: self._entries(f"{base}/v2/entries:list", query))
            for entry in answer.get("entries", []):
                yield line_of(entry)
            if not answer.get("nextPageToken"):
                return
            query["pageToken"] = answer["nextPageToken"]

    def _entries(self, url: str, query: Mapping[str, Any]) -> dict[str, Any]:
        from google.api_core.exceptions import from_http_response

        response = self.connection.session.post(url, json=dict(query), timeout=60)
        if response.status_code >= 400:
            raise from_http_response(response)
        return dict(response.json())

    def shown(self, job: Any) -> Run:
        """A pipeline job as the command line shows it."""
        spec = spec_of(job)
        names = dict(_executed(spec))
        return Run(
            id=job.name.rpartition("/")[2],
            pipeline=spec["pipelineInfo"]["name"] if spec else job.display_name,
            target="vertex",
            state=JOB_STATES.get(job.state.name.removeprefix("PIPELINE_STATE_"), "pending"),
            created=_seconds(job.create_time),
            seconds=_seconds(job.end_time) - _seconds(job.start_time or job.create_time) if job.end_time else 0.0,
            tasks=[_task(detail, names[detail.task_name]) for detail in _in_order(job) if detail.task_name in names],
            parameters=parameters_of(job),
            error=job.error.message if job.error else "",
            console=page_of(job.name, self.settings.project),
            root=f"{job.runtime_config.gcs_output_directory.rstrip('/')}/{job.name.rpartition('/')[2]}",
        )


def spec_of(job: Any) -> dict[str, Any]:
    """The compiled pipeline that a job holds.

    Args:
        job: A `PipelineJob` of google-cloud-aiplatform.
    """
    from google.protobuf import json_format

    return dict(json_format.MessageToDict(type(job).pb(job).pipeline_spec))


def parameters_of(job: Any) -> dict[str, Any]:
    """The parameter values of a job, in the types of the pipeline's parameters.

    Args:
        job: A `PipelineJob` of google-cloud-aiplatform.
    """
    from google.protobuf import json_format

    values = {
        name: json_format.MessageToDict(value)
        for name, value in type(job).pb(job).runtime_config.parameter_values.items()
    }
    known = spec_of(job).get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    # A protobuf value has no integers.
    whole = {name for name, parameter in known.items() if parameter["parameterType"] != "NUMBER_DOUBLE"}
    return {name: whole_numbers(value) if name in whole else value for name, value in values.items()}


def _executed(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of the tasks that are not groups, in the spec and as the console shows them."""
    components = spec.get("components", {})
    for part in (spec.get("root", {}), *components.values()):
        for name, task in (part.get("dag", {}).get("tasks", {}) if "dag" in part else {}).items():
            if "executorLabel" in components.get(task["componentRef"]["name"], {}):
                yield name, task.get("taskInfo", {}).get("name", name)


def _in_order(job: Any) -> list[Any]:
    details = list(job.job_detail.task_details) if job.job_detail else []
    return sorted(details, key=lambda detail: (_seconds(detail.start_time) or float("inf"), detail.task_id))


def _task(detail: Any, name: str) -> Task:
    executor = detail.executor_detail
    job = (executor.container_detail.main_job or executor.custom_job_detail.job) if executor else ""
    return Task(
        name=name,
        state=TASK_STATES.get(detail.state.name, "pending"),
        started=_seconds(detail.start_time),
        seconds=_seconds(detail.end_time) - _seconds(detail.start_time) if detail.end_time else 0.0,
        metric=_metric(detail),
        error=detail.error.message if detail.error else "",
        id=job.rpartition("/")[2],
    )


def _metric(detail: Any) -> str:
    """Up to three numbers in the metadata of a task's artifacts."""
    found: dict[str, float] = {}
    for artifacts in detail.outputs.values():
        for artifact in artifacts.artifacts:
            found |= {name: value for name, value in dict(artifact.metadata or {}).items() if isinstance(value, float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(found.items())[:3])


def _seconds(moment: Any) -> float:
    return float(moment.timestamp()) if moment else 0.0
