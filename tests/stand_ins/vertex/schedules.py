"""ScheduleService: schedules whose runs start when the stand-in's clock is set forward."""

import datetime
from dataclasses import dataclass, field
from typing import Any

from cronsim import CronSim, CronSimError
from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2

from tests.stand_ins.server import ApiError
from tests.stand_ins.vertex.pipelines import ENDED, Pipelines
from tests.stand_ins.vertex.state import Clock, Collection, Operations

State = types.Schedule.State
REQUEST = "create_pipeline_job_request"
UPDATABLE = {
    "display_name", "cron", "start_time", "end_time", "max_run_count", "max_concurrent_run_count",
    "max_concurrent_active_run_count", "allow_queueing",
}  # fmt: skip


@dataclass
class Schedules:
    """Schedules of pipeline jobs."""

    clock: Clock
    operations: Operations
    pipelines: Pipelines
    resources: Collection = field(
        default_factory=lambda: Collection(
            "schedules", frozenset({"display_name", "state", "create_time", "start_time", "end_time", "next_run_time"})
        )
    )

    def create_schedule(self, request: types.CreateScheduleRequest) -> types.Schedule:
        """A new schedule, active at once."""
        schedule = types.Schedule(request.schedule)
        if REQUEST not in schedule or not schedule.cron:
            raise ApiError(400, "schedule: cron and create_pipeline_job_request are needed")
        run = schedule.create_pipeline_job_request
        if run.pipeline_job_id:
            raise ApiError(400, "schedule.create_pipeline_job_request.pipeline_job_id cannot be set")
        if not schedule.max_concurrent_run_count:
            raise ApiError(400, "Required field is not set: schedule.max_concurrent_run_count")
        _ticks(schedule.cron, self.clock.now)
        # A job that could not be created is refused now, and not every night.
        trial = Pipelines(Clock(), Operations())
        trial.create_pipeline_job(run)
        self.resources.add(request.parent, schedule)
        schedule.create_time = self.clock.tick()
        schedule.state = State.ACTIVE
        if not schedule.start_time:
            schedule.start_time = schedule.create_time
        self._plan(schedule)
        return schedule

    def get_schedule(self, request: types.GetScheduleRequest) -> types.Schedule:
        """One schedule."""
        return self.resources.get(request.name)

    def list_schedules(self, request: types.ListSchedulesRequest) -> types.ListSchedulesResponse:
        """Schedules, newest first."""
        schedules, token = self.resources.select(request)
        return types.ListSchedulesResponse(schedules=schedules, next_page_token=token)

    def update_schedule(self, request: types.UpdateScheduleRequest) -> types.Schedule:
        """Changes what the mask names; neither the spec nor its parameters."""
        schedule = self.resources.get(request.schedule.name)
        if schedule.state == State.COMPLETED:
            raise ApiError(400, "A completed schedule cannot be updated")
        for path in request.update_mask.paths:
            if path not in UPDATABLE:
                raise ApiError(400, f"Field {path} of a schedule cannot be updated")
            if path == "cron":
                _ticks(request.schedule.cron, self.clock.now)
            if path == "end_time" and request.schedule.end_time and request.schedule.end_time <= schedule.start_time:
                raise ApiError(400, "end_time of a schedule must be after its start_time")
            setattr(schedule, path, getattr(request.schedule, path))
        schedule.update_time = self.clock.tick()
        self._plan(schedule)
        return schedule

    def pause_schedule(self, request: types.PauseScheduleRequest) -> Any:
        """Stops starting runs."""
        schedule = self.resources.get(request.name)
        if schedule.state != State.ACTIVE:
            raise ApiError(400, f"Only an active schedule can be paused; this one is {schedule.state.name}")
        schedule.state, schedule.last_pause_time = State.PAUSED, self.clock.tick()
        return empty_pb2.Empty()

    def resume_schedule(self, request: types.ResumeScheduleRequest) -> Any:
        """Starts runs again; those that were missed only with `catch_up`."""
        schedule = self.resources.get(request.name)
        if schedule.state != State.PAUSED:
            raise ApiError(400, f"Only a paused schedule can be resumed; this one is {schedule.state.name}")
        schedule.state, schedule.last_resume_time = State.ACTIVE, self.clock.tick()
        schedule.catch_up = request.catch_up
        if not request.catch_up:
            self._plan(schedule)
        return empty_pb2.Empty()

    def delete_schedule(self, request: types.DeleteScheduleRequest) -> Any:
        """Forgets a schedule; its runs stay."""
        schedule = self.resources.get(request.name)
        self.resources.remove(request.name)
        return self.operations.start(schedule.name, empty_pb2.Empty(), types.DeleteOperationMetadata())

    def pass_time(self, until: datetime.datetime) -> list[types.PipelineJob]:
        """Sets the clock forward; every schedule starts the runs that are due on the way.

        Returns:
            The runs that were started, in the order of their times.
        """
        started = []
        while True:
            due = [one for one in self.resources.items.values() if one.state == State.ACTIVE and one.next_run_time]
            due = [one for one in due if one.next_run_time <= until]
            if not due:
                break
            schedule = min(due, key=lambda one: one.next_run_time)
            self.clock.now = max(self.clock.now, _plain(schedule.next_run_time))
            started += self._start(schedule)
            self._plan(schedule)
        self.clock.now = max(self.clock.now, until)
        for schedule in self.resources.items.values():
            if schedule.end_time and schedule.end_time <= self.clock.now and schedule.state != State.COMPLETED:
                schedule.state = State.COMPLETED
        return started

    def _start(self, schedule: types.Schedule) -> list[types.PipelineJob]:
        jobs = self.pipelines.resources.items.values()
        active = [job for job in jobs if job.schedule_name == schedule.name and job.state not in ENDED]
        most = schedule.max_concurrent_active_run_count
        if most and len(active) >= most:
            return []
        job = self.pipelines.create_pipeline_job(schedule.create_pipeline_job_request, schedule.name)
        schedule.started_run_count += 1
        schedule.last_scheduled_run_response.run_response = job.name
        schedule.last_scheduled_run_response.scheduled_run_time = schedule.next_run_time
        return [job]

    def _plan(self, schedule: types.Schedule) -> None:
        after = max(self.clock.now, _plain(schedule.start_time) - datetime.timedelta(seconds=1))
        following = _ticks(schedule.cron, after)
        ended = schedule.end_time and following > schedule.end_time
        used_up = schedule.max_run_count and schedule.started_run_count >= schedule.max_run_count
        if ended or used_up:
            schedule.next_run_time = None
            schedule.state = State.COMPLETED if used_up else schedule.state
        else:
            schedule.next_run_time = following


def _ticks(cron: str, after: datetime.datetime) -> datetime.datetime:
    """The first moment of a cron expression after another one."""
    import zoneinfo

    zone, expression = "UTC", cron
    if cron.startswith(("TZ=", "CRON_TZ=")):
        zone, _, expression = cron.partition("=")[2].partition(" ")
    try:
        return next(CronSim(expression, after.astimezone(zoneinfo.ZoneInfo(zone)))).astimezone(datetime.timezone.utc)
    except (CronSimError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ApiError(400, f"Invalid cron {cron!r}: {error}") from None


def _plain(moment: Any) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(moment.timestamp(), datetime.timezone.utc)
