"""PipelineService: jobs that advance one task each time somebody looks."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2, json_format
from google.rpc import status_pb2
from kfp.pipeline_spec.pipeline_spec_pb2 import ParameterType, PipelineSpec

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.state import Clock, Collection, Operations

JOB_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
State, TaskState = types.PipelineState, types.PipelineTaskDetail.State
ENDED = {State.PIPELINE_STATE_SUCCEEDED, State.PIPELINE_STATE_FAILED, State.PIPELINE_STATE_CANCELLED}
TYPES: dict[int, type | tuple[type, ...]] = {
    ParameterType.NUMBER_INTEGER: (int, float),
    ParameterType.NUMBER_DOUBLE: (int, float),
    ParameterType.STRING: str,
    ParameterType.BOOLEAN: bool,
    ParameterType.LIST: list,
    ParameterType.STRUCT: dict,
}
FILTERABLE = frozenset(
    {"pipeline_name", "display_name", "pipeline_job_user_id", "state", "create_time", "update_time", "end_time"}
    | {"template_uri"}
)


@dataclass
class Pipelines:
    """Pipeline jobs.

    Attributes:
        failing: Error messages by the names of tasks that fail.
        cached: Names of tasks that are to be cache hits.
        logs: By custom job id, what the task printed; the logging service answers with it.
        templates: Uploaded specs by their addresses in Artifact Registry.
        contexts: Contexts in the metadata store: every run has one (aiplatform/pipeline_jobs.py, _get_context).
    """

    clock: Clock
    operations: Operations
    failing: dict[str, str] = field(default_factory=dict)
    cached: set[str] = field(default_factory=set)
    logs: dict[str, list[str]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: Collection = field(default_factory=lambda: Collection("pipelineJobs", FILTERABLE))
    contexts: Collection = field(default_factory=lambda: Collection("contexts"))
    ids: Any = field(default_factory=lambda: itertools.count(7001))

    def create_pipeline_job(self, request: types.CreatePipelineJobRequest, schedule: str = "") -> types.PipelineJob:
        """Takes a job, if its spec and its parameters are right."""
        job = types.PipelineJob(request.pipeline_job)
        if request.pipeline_job_id and not JOB_ID.fullmatch(request.pipeline_job_id):
            raise ApiError(400, f"Invalid pipeline_job_id {request.pipeline_job_id!r}")
        if not job.runtime_config.gcs_output_directory.startswith("gs://"):
            raise ApiError(400, "runtime_config.gcs_output_directory must be a Cloud Storage path")
        if job.template_uri in self.templates and not types.PipelineJob.pb(job).HasField("pipeline_spec"):
            # `PipelineJob.template_uri` of google.cloud.aiplatform_v1: the spec, if empty, is downloaded from there.
            job.pipeline_spec = self.templates[job.template_uri]
        spec = read_spec(job)
        _check_parameters(spec, types.PipelineJob.RuntimeConfig.pb(job.runtime_config))
        self.resources.add(
            request.parent, job, request.pipeline_job_id or f"{spec.pipeline_info.name}-{next(self.ids)}"
        )
        job.create_time = job.update_time = self.clock.tick()
        job.schedule_name = schedule
        job.state = State.PIPELINE_STATE_PENDING
        context = types.Context(display_name=job.name.rpartition("/")[2], schema_title="system.PipelineRun")
        self.contexts.add(_store(job.name), context, context.display_name)
        if "sha256:" in job.template_uri:
            job.template_metadata.version = job.template_uri.rpartition("/")[2]
        return job

    def get_pipeline_job(self, request: types.GetPipelineJobRequest) -> types.PipelineJob:
        """Looks at a job, after it went a step on."""
        job = self.resources.get(request.name)
        self._advance(job)
        return job

    def list_pipeline_jobs(self, request: types.ListPipelineJobsRequest) -> types.ListPipelineJobsResponse:
        """Jobs without their details, newest first."""
        found, token = self.resources.select(request)
        shown = [types.PipelineJob(job) for job in found]
        for job in shown:
            job.job_detail = None
        return types.ListPipelineJobsResponse(pipeline_jobs=shown, next_page_token=token)

    def cancel_pipeline_job(self, request: types.CancelPipelineJobRequest) -> Any:
        """Asks a job to stop; it has stopped at the next look."""
        job = self.resources.get(request.name)
        if job.state in ENDED:
            raise ApiError(400, f"PipelineJob {job.name} is in the terminal state {job.state.name}")
        job.state = State.PIPELINE_STATE_CANCELLING
        return empty_pb2.Empty()

    def delete_pipeline_job(self, request: types.DeletePipelineJobRequest) -> Any:
        """Forgets a job."""
        job = self.resources.get(request.name)
        if job.state not in ENDED:
            raise ApiError(400, f"PipelineJob {job.name} is still active; cancel it first")
        self.resources.remove(request.name)
        return self.operations.start(job.name, empty_pb2.Empty(), types.DeleteOperationMetadata())

    def _advance(self, job: types.PipelineJob) -> None:
        now = self.clock.tick()
        details = list(job.job_detail.task_details)
        if job.state == State.PIPELINE_STATE_PENDING:
            job.state, job.start_time = State.PIPELINE_STATE_RUNNING, now
            details = self._details(job)
        elif job.state == State.PIPELINE_STATE_CANCELLING:
            job.state, job.end_time = State.PIPELINE_STATE_CANCELLED, now
            for task in details:
                task.state = task.state if task.end_time else TaskState.CANCELLED
        elif job.state == State.PIPELINE_STATE_RUNNING:
            self._step(job, details, now)
        context = self.contexts.items[f"{_store(job.name)}/contexts/{job.name.rpartition('/')[2]}"]
        job.job_detail = types.PipelineJobDetail(task_details=details, pipeline_run_context=context)

    def _step(self, job: types.PipelineJob, details: list[types.PipelineTaskDetail], now: Any) -> None:
        leaves = [task for task in details if task.executor_detail]
        running = next((task for task in leaves if task.state == TaskState.RUNNING), None)
        if running is not None:
            running.end_time, running.state = now, TaskState.SUCCEEDED
            if running.task_name in self.failing:
                running.state = TaskState.FAILED
                running.error = status_pb2.Status(code=9, message=self.failing[running.task_name])
                for task in leaves:
                    if task.state == TaskState.PENDING:
                        task.state = TaskState.NOT_TRIGGERED
                job.error = status_pb2.Status(
                    code=9, message=f"The DAG failed because some tasks failed: {running.task_name}"
                )
            elif running.task_name in self.cached:
                running.state = TaskState.SKIPPED
        waiting = next((task for task in leaves if task.state == TaskState.PENDING), None)
        if waiting is not None:
            waiting.state, waiting.start_time = TaskState.RUNNING, now
            return
        job.end_time = job.update_time = now
        job.state = State.PIPELINE_STATE_FAILED if job.error.message else State.PIPELINE_STATE_SUCCEEDED

    def _details(self, job: types.PipelineJob) -> list[types.PipelineTaskDetail]:
        """The root, every group and every task of a job, as Vertex lists them."""
        root = types.PipelineTaskDetail(task_id=next(self.ids), task_name=job.name.rpartition("/")[2])
        root.state = TaskState.RUNNING
        found, ids = [root], {"": root.task_id}
        spec = read_spec(job)
        for parent, name, leaf in tasks(spec):
            task = types.PipelineTaskDetail(task_id=next(self.ids), task_name=name, parent_task_id=ids[parent])
            ids[name] = task.task_id
            task.state = TaskState.PENDING if leaf else TaskState.RUNNING
            if leaf:
                location = job.name.partition("/pipelineJobs")[0]
                task.executor_detail.container_detail.main_job = f"{location}/customJobs/{task.task_id}"
                self.logs.setdefault(str(task.task_id), [f"{name} begins", f"{name} ends"])
            found.append(task)
        return found


def _store(job: str) -> str:
    """The metadata store of a run, which Vertex creates with the first one."""
    return f"{job.partition('/pipelineJobs')[0]}/metadataStores/default"


def read_spec(job: types.PipelineJob) -> PipelineSpec:
    """A job's spec as KFP's own message.

    Raises:
        ApiError: 400 if it does not fit.
    """
    raw = types.PipelineJob.pb(job)
    try:
        spec = json_format.ParseDict(json_format.MessageToDict(raw.pipeline_spec), PipelineSpec())
    except json_format.ParseError as error:
        raise ApiError(400, f"Invalid pipeline_spec: {error}") from None
    if not spec.root.dag.tasks:
        raise ApiError(400, "Invalid pipeline_spec: there are no tasks")
    return spec


def tasks(spec: PipelineSpec) -> Iterator[tuple[str, str, bool]]:
    """The tasks of a spec, each after those that it depends on: its group's name, its own, whether it executes."""

    def below(dag: Any, parent: str) -> Iterator[tuple[str, str, bool]]:
        left = dict(dag.tasks)
        while left:
            ready = [name for name, task in sorted(left.items()) if not set(task.dependent_tasks) & set(left)]
            for name in ready:
                component = spec.components[left.pop(name).component_ref.name]
                yield parent, name, not component.HasField("dag")
                yield from below(component.dag, name)

    yield from below(spec.root.dag, "")


def _check_parameters(spec: PipelineSpec, config: Any) -> None:
    known = spec.root.input_definitions.parameters
    given = {name: json_format.MessageToDict(value) for name, value in config.parameter_values.items()}
    for name, value in given.items():
        if name not in known:
            raise ApiError(400, f"runtime_config: the pipeline has no parameter {name!r}")
        kind = known[name].parameter_type
        if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != ParameterType.BOOLEAN):
            named = ParameterType.ParameterTypeEnum.Name(kind)
            raise ApiError(400, f"runtime_config: parameter {name} is not of type {named}")
    for name, parameter in known.items():
        if not (parameter.is_optional or parameter.HasField("default_value") or name in given):
            raise ApiError(400, f"runtime_config: parameter {name} has no value")
