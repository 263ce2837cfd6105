"""Schedules on Vertex.

A schedule contains the whole request that it repeats, spec and parameters, and the API cannot change that. So a change
of these is a replacement without missed or doubled runs: the new schedule is created first, with a start shortly in the
future; then the old one gets that moment as its end, and is deleted once it has no run left before it. If the new one
starts later, the old one ends as soon, because nothing runs before the configured start. The newest schedule of a name
counts. Older ones remain if the replacement was interrupted or they had a run left; they are shown
as `superseded`, and the next `apply` ends and deletes them.

A schedule has no labels, so Seqline stores its data in the labels of the job that it starts.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from seqline.errors import UserError
from seqline.targets.target import Schedule
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.console import schedule_page
from seqline.targets.vertex.jobs import MANAGED, parameters_of, pipeline_job

NAME, SPEC, CACHE, CONTENT = "seqline-schedule", "seqline-spec", "seqline-cache", "seqline-content"
STATES: dict[str, Any] = {"ACTIVE": "active", "PAUSED": "paused", "COMPLETED": "completed"}
# Fields of `Schedule` that the API can change.
UPDATABLE = frozenset({"cron", "timezone", "end", "max_runs", "max_active_runs", "state", "superseded"})
# Time until a replacement starts: longer than all attempts to create it and to end the old one.
HANDOVER = datetime.timedelta(seconds=120)


def now() -> datetime.datetime:
    """The current time; tests replace it."""
    return datetime.datetime.now(datetime.timezone.utc)


class Schedules:
    """Finds, creates, changes and deletes schedules."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime.datetime] = now) -> None:
        self.connection = connection
        self.settings = connection.settings
        self.clock = clock

    def run_settings(self) -> dict[str, str]:
        """The configuration's settings of a schedule's runs; a change of them is a replacement."""
        wanted = {
            "pipeline_root": self.settings.pipeline_root,
            "service_account": self.settings.service_account,
            "network": self.settings.network,
            "network_attachment": self.settings.network_attachment,
            "dns_peering": ",".join(sorted(one.domain for one in self.settings.dns_peering)),
            "reserved_ip_ranges": ",".join(self.settings.reserved_ip_ranges),
            "encryption_key": self.settings.encryption_key,
            "labels": ",".join(f"{name}={value}" for name, value in sorted(self.settings.labels.items())),
        }
        return {name: value for name, value in wanted.items() if value}

    def found(self) -> list[Schedule]:
        """The schedules that Seqline created, the newest of each name, by name."""
        found = self._all()
        newest: dict[str, Any] = {}
        for one in found:
            name = _name(one)
            if name not in newest or one.create_time > newest[name].create_time:
                newest[name] = one
        return [
            dataclasses.replace(
                self.shown(one),
                superseded=tuple(old.name for old in found if _is_over(old, one, self._limit(one))),
            )
            for _, one in sorted(newest.items())
        ]

    def save(self, wanted: Schedule, existing: Schedule | None, spec: Mapping[str, Any], changed: set[str]) -> Schedule:
        """Creates, updates or replaces a schedule.

        Args:
            wanted: The schedule from the configuration.
            existing: The existing schedule, or None.
            spec: Its compiled pipeline.
            changed: The fields in which the two differ.
        """
        if existing is None:
            made = self._create(wanted, spec, start=wanted.start)
        elif changed <= UPDATABLE and not _unsets(wanted, changed):
            made = self._update(wanted, existing, changed)
        else:
            made = self._replace(wanted, existing, spec)
        self._retire_older(made)
        state = self.shown(self._get(made.id)).state
        if wanted.state == "paused" and state == "active":
            return self.pause(made)
        if wanted.state == "active" and state == "paused":
            return self.resume(made)
        return made

    def delete(self, schedule: Schedule) -> None:
        """Deletes all schedules of that name."""
        for found in self._all():
            if _name(found) == schedule.name:
                self._delete(found.name)

    def pause(self, schedule: Schedule) -> Schedule:
        """Pauses a schedule."""
        return self._turn(schedule, "paused", lambda: self.connection.schedules.pause_schedule(name=schedule.id))

    def resume(self, schedule: Schedule) -> Schedule:
        """Resumes a schedule; missed runs are not started."""
        request = {"name": schedule.id, "catch_up": False}
        return self._turn(schedule, "active", lambda: self.connection.schedules.resume_schedule(request=request))

    def shown(self, found: Any) -> Schedule:
        """Converts a schedule of the API."""
        job = found.create_pipeline_job_request.pipeline_job
        zone, cron = _split_cron(found.cron)
        labels = dict(job.labels)
        own = {NAME, SPEC, CACHE, CONTENT, *MANAGED}
        raw = {
            "pipeline_root": job.runtime_config.gcs_output_directory,
            "service_account": job.service_account,
            "network": job.network,
            "network_attachment": job.psc_interface_config.network_attachment,
            "dns_peering": ",".join(sorted(one.domain for one in job.psc_interface_config.dns_peering_configs)),
            "reserved_ip_ranges": ",".join(job.reserved_ip_ranges),
            "encryption_key": job.encryption_spec.kms_key_name if job.encryption_spec else "",
            "labels": ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in own),
        }
        last = found.last_scheduled_run_response
        return Schedule(
            name=labels[NAME],
            cron=cron,
            timezone=zone,
            template=job.template_uri,
            spec=labels.get(SPEC, ""),
            parameters=parameters_of(job),
            settings={name: value for name, value in raw.items() if value},
            state=STATES[found.state.name],
            start=_moment(found.start_time),
            end=_moment(found.end_time),
            max_runs=found.max_run_count,
            max_active_runs=found.max_concurrent_active_run_count,
            cache=False if labels.get(CACHE) == "off" else None,
            id=found.name,
            next_run=_moment(found.next_run_time) if found.state.name == "ACTIVE" else None,
            last_run=last.run_response.rpartition("/")[2] if last else "",
            console=schedule_page(found.name, self.settings.project),
        )

    def _all(self) -> list[Any]:
        request = {"parent": self.connection.parent, "filter": "create_pipeline_job_request:*"}
        found = self.connection.read(
            "list the schedules", lambda: list(self.connection.schedules.list_schedules(request=request))
        )
        return [one for one in found if _name(one)]

    def _get(self, id_: str) -> Any:
        return self.connection.read("look up the schedule", lambda: self.connection.schedules.get_schedule(name=id_))

    def _create(self, wanted: Schedule, spec: Mapping[str, Any], start: datetime.datetime | None) -> Schedule:
        from google.cloud.aiplatform_v1 import CreatePipelineJobRequest
        from google.cloud.aiplatform_v1 import Schedule as VertexSchedule

        labels = {NAME: wanted.name, SPEC: wanted.spec, **({CACHE: "off"} if wanted.cache is False else {})}
        job = pipeline_job(spec, wanted.parameters, self.settings, wanted.cache, wanted.template, labels)
        # After a lost response the schedule is found by a digest; the service may add fields, so the digest is a label.
        content = job.labels[CONTENT] = _content(job)
        schedule = VertexSchedule(
            display_name=wanted.name,
            cron=_join_cron(wanted),
            start_time=start,
            end_time=wanted.end,
            max_run_count=wanted.max_runs,
            max_concurrent_run_count=1,
            max_concurrent_active_run_count=wanted.max_active_runs,
            create_pipeline_job_request=CreatePipelineJobRequest(parent=self.connection.parent, pipeline_job=job),
        )

        def look() -> Any:
            same = [one for one in self._all() if _name(one) == wanted.name and _label(one, CONTENT) == content]
            return next((one for one in same if one.state.name != "COMPLETED" and _starts(one, start)), None)

        def create() -> Any:
            return self.connection.schedules.create_schedule(parent=self.connection.parent, schedule=schedule)

        return self.shown(self.connection.write(f"create schedule {wanted.name}", look, create))

    def _update(self, wanted: Schedule, existing: Schedule, changed: set[str]) -> Schedule:
        fields: dict[str, dict[str, Any]] = {
            "cron": {"cron": _join_cron(wanted)},
            "timezone": {"cron": _join_cron(wanted)},
            "end": {"end_time": wanted.end},
            "max_runs": {"max_run_count": wanted.max_runs},
            "max_active_runs": {"max_concurrent_active_run_count": wanted.max_active_runs},
        }
        values: dict[str, Any] = {}
        for name in changed - {"state", "superseded"}:
            values |= fields[name]
        return self.shown(self._patch(existing.id, values)) if values else existing

    def _patch(self, id_: str, values: Mapping[str, Any]) -> Any:
        """Changes some fields; idempotent."""
        schedule = self._get(id_)
        for name, value in values.items():
            setattr(schedule, name, value)
        request = {"schedule": schedule, "update_mask": {"paths": sorted(values)}}
        return self.connection.read(
            f"update schedule {schedule.display_name}",
            lambda: self.connection.schedules.update_schedule(request=request),
        )

    def _replace(self, wanted: Schedule, existing: Schedule, spec: Mapping[str, Any]) -> Schedule:
        handover = self._handover()
        start = max(handover, wanted.start) if wanted.start else handover
        return self._create(wanted, spec, start)

    def _handover(self) -> datetime.datetime:
        """The next moment at which a schedule can replace another."""
        handover = (self.clock() + HANDOVER).replace(microsecond=0)
        # Half a minute off cron's moments, so that it makes no difference whether limits are inclusive.
        return handover.replace(second=30) + datetime.timedelta(minutes=handover.second > 30)

    def _limit(self, newest: Any) -> datetime.datetime:
        """The moment from which only the newest schedule of a name may start runs."""
        return min(self._handover(), newest.start_time)

    def _retire_older(self, made: Schedule) -> None:
        """Ends the older schedules of a name in time for the newest one, and deletes those without further runs."""
        newest = self._get(made.id)
        limit = self._limit(newest)
        for old in self._all():
            if _name(old) != made.name or old.create_time >= newest.create_time:
                continue
            # An end before the start is refused.
            if _overlaps(old, limit) and old.start_time < limit:
                old = self._patch(old.name, {"end_time": limit})
            if _is_over(old, newest, limit):
                self._delete(old.name)

    def _delete(self, id_: str) -> None:
        from google.api_core.exceptions import NotFound

        def delete() -> None:
            with contextlib.suppress(NotFound):
                self.connection.schedules.delete_schedule(name=id_).result(timeout=120)

        self.connection.read("delete the schedule", delete)

    def _turn(self, schedule: Schedule, state: str, call: Callable[[], Any]) -> Schedule:
        def look() -> Schedule | None:
            found = self.shown(self._get(schedule.id))
            if found.state == "completed":
                raise UserError(f"schedule {schedule.name} is completed and starts no more runs")
            return found if found.state == state else None

        def turn() -> Schedule:
            call()
            return self.shown(self._get(schedule.id))

        return self.connection.write(f"make schedule {schedule.name} {state}", look, turn)


def _unsets(wanted: Schedule, changed: set[str]) -> bool:
    """Whether an end or a limit is removed, which an update cannot do."""
    return ("end" in changed and wanted.end is None) or ("max_runs" in changed and not wanted.max_runs)


def _overlaps(old: Any, limit: datetime.datetime) -> bool:
    """Whether an older schedule may start runs after a limit."""
    return old.state.name == "ACTIVE" and (not old.end_time or old.end_time > limit)


def _is_over(old: Any, newest: Any, limit: datetime.datetime) -> bool:
    """Whether an older schedule of the same name must be ended or deleted."""
    if _name(old) != _name(newest) or old.create_time >= newest.create_time:
        return False
    before = old.state.name == "ACTIVE" and old.next_run_time and old.next_run_time <= limit
    return _overlaps(old, limit) or not before


def _name(found: Any) -> str:
    return _label(found, NAME)


def _label(found: Any, name: str) -> str:
    return str(found.create_pipeline_job_request.pipeline_job.labels.get(name, ""))


def _starts(found: Any, start: datetime.datetime | None) -> bool:
    """Whether a schedule has the start of the one to create."""
    if start is None:
        return True
    return abs(found.start_time.timestamp() - start.timestamp()) < 1


def _content(job: Any) -> str:
    from google.protobuf import json_format

    text = json.dumps(json_format.MessageToDict(type(job).pb(job)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _join_cron(schedule: Schedule) -> str:
    return f"TZ={schedule.timezone} {schedule.cron}"


def _split_cron(text: str) -> tuple[str, str]:
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, cron = text.partition("=")[2].partition(" ")
        return zone, cron
    return "UTC", text


def _moment(value: Any) -> datetime.datetime | None:
    return datetime.datetime.fromtimestamp(value.timestamp(), datetime.timezone.utc) if value else None
