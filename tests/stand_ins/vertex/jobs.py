"""JobService: custom jobs and hyperparameter tuning jobs, which run at the first look and have ended at the second."""

from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2, struct_pb2

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.machines import (
    check_accelerator,
    check_reservation,
    check_scheduling,
    check_tensorboard,
)
from tests.stand_ins.vertex.state import Clock, Collection, Operations

State = types.JobState
ENDED = {State.JOB_STATE_SUCCEEDED, State.JOB_STATE_FAILED, State.JOB_STATE_CANCELLED}


@dataclass
class Jobs:
    """Jobs by kind.

    Attributes:
        objective: What a trial measures: called with its parameters by name.
    """

    clock: Clock
    operations: Operations
    objective: Any = lambda parameters: float(len(parameters))
    custom: Collection = field(default_factory=lambda: Collection("customJobs", frozenset({"display_name", "state"})))
    tuning: Collection = field(
        default_factory=lambda: Collection("hyperparameterTuningJobs", frozenset({"display_name", "state"}))
    )

    def create_custom_job(self, request: types.CreateCustomJobRequest) -> types.CustomJob:
        """Takes a custom job with worker pools that can be had."""
        _check_spec(request.custom_job.job_spec)
        return self._begin(self.custom, request.parent, types.CustomJob(request.custom_job))

    def get_custom_job(self, request: types.GetCustomJobRequest) -> types.CustomJob:
        """Looks at a custom job."""
        return self._advance(self.custom.get(request.name))

    def list_custom_jobs(self, request: types.ListCustomJobsRequest) -> types.ListCustomJobsResponse:
        """Custom jobs, newest first."""
        found, token = self.custom.select(request)
        return types.ListCustomJobsResponse(custom_jobs=found, next_page_token=token)

    def cancel_custom_job(self, request: types.CancelCustomJobRequest) -> Any:
        """Stops a custom job."""
        return self._cancel(self.custom.get(request.name))

    def create_hyperparameter_tuning_job(
        self, request: types.CreateHyperparameterTuningJobRequest
    ) -> types.HyperparameterTuningJob:
        """Takes a search."""
        job = types.HyperparameterTuningJob(request.hyperparameter_tuning_job)
        _check_spec(job.trial_job_spec)
        if job.parallel_trial_count > job.max_trial_count:
            raise ApiError(400, "parallel_trial_count is above max_trial_count")
        return self._begin(self.tuning, request.parent, job)

    def get_hyperparameter_tuning_job(
        self, request: types.GetHyperparameterTuningJobRequest
    ) -> types.HyperparameterTuningJob:
        """Looks at a search; its trials have ended when it has."""
        job = self.tuning.get(request.name)
        before = job.state
        self._advance(job)
        if before not in ENDED and job.state == State.JOB_STATE_SUCCEEDED:
            job.trials = [self._trial(job, number) for number in range(1, job.max_trial_count + 1)]
        return job

    def list_hyperparameter_tuning_jobs(
        self, request: types.ListHyperparameterTuningJobsRequest
    ) -> types.ListHyperparameterTuningJobsResponse:
        """Searches, newest first."""
        found, token = self.tuning.select(request)
        return types.ListHyperparameterTuningJobsResponse(hyperparameter_tuning_jobs=found, next_page_token=token)

    def cancel_hyperparameter_tuning_job(self, request: types.CancelHyperparameterTuningJobRequest) -> Any:
        """Stops a search."""
        return self._cancel(self.tuning.get(request.name))

    def _begin(self, collection: Collection, parent: str, job: Any) -> Any:
        collection.add(parent, job)
        job.create_time, job.state = self.clock.tick(), State.JOB_STATE_PENDING
        return job

    def _advance(self, job: Any) -> Any:
        now = self.clock.tick()
        if job.state == State.JOB_STATE_PENDING:
            job.state, job.start_time = State.JOB_STATE_RUNNING, now
        elif job.state == State.JOB_STATE_RUNNING:
            job.state, job.end_time = State.JOB_STATE_SUCCEEDED, now
        return job

    def _cancel(self, job: Any) -> Any:
        if job.state not in ENDED:
            job.state, job.end_time = State.JOB_STATE_CANCELLED, self.clock.tick()
        return empty_pb2.Empty()

    def _trial(self, job: types.HyperparameterTuningJob, number: int) -> types.Trial:
        """A trial at an evenly spaced value of each parameter's range."""
        trial = types.Trial(id=str(number), state=types.Trial.State.SUCCEEDED)
        values: dict[str, Any] = {}
        share = number / (job.max_trial_count + 1)
        for parameter in job.study_spec.parameters:
            values[parameter.parameter_id] = value = _value(parameter, share)
            trial.parameters.append(types.Trial.Parameter(parameter_id=parameter.parameter_id, value=value))
        metric = types.Measurement.Metric(metric_id=job.study_spec.metrics[0].metric_id, value=self.objective(values))
        trial.final_measurement = types.Measurement(metrics=[metric], step_count=1)
        return trial


def _value(parameter: Any, share: float) -> Any:
    raw = type(parameter).pb(parameter)
    kind = raw.WhichOneof("parameter_value_spec")
    spec = getattr(raw, kind)
    if kind == "double_value_spec":
        return struct_pb2.Value(number_value=spec.min_value + share * (spec.max_value - spec.min_value))
    if kind == "integer_value_spec":
        return struct_pb2.Value(number_value=round(spec.min_value + share * (spec.max_value - spec.min_value)))
    chosen = spec.values[int(share * len(spec.values))]
    return struct_pb2.Value(string_value=chosen) if isinstance(chosen, str) else struct_pb2.Value(number_value=chosen)


def _check_spec(spec: types.CustomJobSpec) -> None:
    pools = spec.worker_pool_specs
    if not pools:
        raise ApiError(400, "job_spec.worker_pool_specs must not be empty")
    for pool in pools:
        machine = pool.machine_spec
        if not machine.machine_type:
            raise ApiError(400, "worker_pool_specs: machine_spec.machine_type is needed")
        if not pool.container_spec.image_uri and not pool.python_package_spec.executor_image_uri:
            raise ApiError(400, "worker_pool_specs: container_spec.image_uri is needed")
        v5e = machine.machine_type.startswith("ct5lp-")
        if v5e and (not machine.tpu_topology or machine.accelerator_type):
            raise ApiError(400, f"{machine.machine_type} takes tpu_topology, and no accelerator")
        if machine.machine_type == "cloud-tpu" and not machine.accelerator_type.name.startswith("TPU_V"):
            raise ApiError(400, "cloud-tpu takes the accelerator TPU_V2 or TPU_V3")
        check_accelerator(machine)
        check_reservation(machine, spec.scheduling)
    check_scheduling(spec)
    check_tensorboard(spec)
