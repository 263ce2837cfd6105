"""Schedules on Kubeflow: recurring runs.

The API can enable and disable a recurring run, and change nothing else. So every other change is a replacement: the new
one is created disabled; the old one is disabled, the new one enabled, and the old one deleted. Between these requests
neither is enabled: a run at that moment is missed, and none is doubled.

Seqline stores its data as JSON in the description.
"""

import datetime
import json
from typing import Any

from seqline.configuration.kubeflow import KubeflowTarget
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.versions import server_api
from seqline.targets.target import Schedule

UPDATABLE = frozenset({"state"})
MARK = "managed-by: seqline "


class Schedules:
    """Finds, creates, enables, disables and deletes recurring runs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings: KubeflowTarget = connection.settings

    def run_settings(self) -> dict[str, str]:
        """The configuration's settings of a schedule's runs."""
        wanted = {"pipeline_root": self.settings.pipeline_root, "service_account": self.settings.service_account}
        return {name: value for name, value in wanted.items() if value}

    def found(self) -> list[Schedule]:
        """The schedules that Seqline created, the newest of each name, by name."""
        newest: dict[str, Any] = {}
        every = self._all()
        for one in sorted(every, key=lambda one: one.created_at):
            newest[one.display_name] = one
        return [self._shown(one, every) for _, one in sorted(newest.items())]

    def save(self, wanted: Schedule, existing: Schedule | None, changed: set[str]) -> Schedule:
        """Creates, enables, disables or replaces a schedule.

        Args:
            wanted: The schedule from the configuration; its template is `kfp://PIPELINE/VERSION`.
            existing: The existing schedule, or None.
            changed: The fields in which the two differ.
        """
        made = existing.id if existing and changed <= UPDATABLE else self._create(wanted)
        for old in self._all():
            if old.display_name == wanted.name and old.recurring_run_id != made:
                self._switch(old.recurring_run_id, on=False)
        self._switch(made, on=wanted.state == "active")
        for old in self._all():
            if old.display_name == wanted.name and old.recurring_run_id != made:
                self._remove(old.recurring_run_id)
        return self._get(made)

    def turn(self, schedule: Schedule, on: bool) -> Schedule:
        """Enables or disables a schedule."""
        self._switch(schedule.id, on)
        return self._get(schedule.id)

    def delete(self, schedule: Schedule) -> None:
        """Deletes all recurring runs of that name."""
        for one in self._all():
            if one.display_name == schedule.name:
                self._remove(one.recurring_run_id)

    def _all(self) -> list[Any]:
        found: list[Any] = []
        token = ""
        while True:
            page = self.connection.read(
                "list the schedules",
                lambda client, token=token: client.list_recurring_runs(  # type: ignore[misc]
                    page_token=token, page_size=100, namespace=self.connection.namespace
                ),
            )
            found += [one for one in page.recurring_runs or [] if (one.description or "").startswith(MARK)]
            token = page.next_page_token
            if not token:
                return found

    def _create(self, wanted: Schedule) -> str:
        note = {
            "spec": wanted.spec,
            "cron": wanted.cron,
            "template": wanted.template,
            "settings": dict(wanted.settings),
        }
        note["parameters"] = dict(wanted.parameters)
        description = MARK + json.dumps(note, sort_keys=True)
        before = {one.recurring_run_id for one in self._all()}
        pipeline, version = wanted.template.removeprefix("kfp://").split("/")

        def look(client: Any) -> Any:
            same = [one for one in self._all() if (one.display_name, one.description) == (wanted.name, description)]
            return next((one for one in same if one.recurring_run_id not in before), None)

        def create(client: Any) -> Any:
            experiment = client.create_experiment(self.settings.experiment, namespace=self.connection.namespace)
            return client.create_recurring_run(
                experiment_id=experiment.experiment_id,
                job_name=wanted.name,
                description=description,
                start_time=_text(wanted.start),
                end_time=_text(wanted.end),
                cron_expression=f"0 {wanted.cron}",
                max_concurrency=wanted.max_active_runs,
                no_catchup=True,
                params=dict(wanted.parameters),
                pipeline_id=pipeline,
                version_id=version,
                enabled=False,
                pipeline_root=self.settings.pipeline_root or None,
                service_account=self.settings.service_account or None,
            )

        return str(self.connection.write(f"create schedule {wanted.name}", look, create).recurring_run_id)

    def _get(self, id_: str) -> Schedule:
        one = self.connection.read("look up the schedule", lambda client: client.get_recurring_run(id_))
        return self._shown(one, [])

    def _switch(self, id_: str, on: bool) -> None:
        verb = "enable_recurring_run" if on else "disable_recurring_run"
        self.connection.read(f"{'enable' if on else 'disable'} the schedule", lambda client: getattr(client, verb)(id_))

    def _remove(self, id_: str) -> None:
        def remove(client: Any) -> None:
            try:
                client.delete_recurring_run(id_)
            except server_api().ApiException as error:
                if error.status != 404:
                    raise

        self.connection.read("delete the schedule", remove)

    def _shown(self, one: Any, every: list[Any]) -> Schedule:
        note = json.loads(one.description.removeprefix(MARK))
        cron = one.trigger.cron_schedule
        others = [other.recurring_run_id for other in every if other.display_name == one.display_name]
        return Schedule(
            name=one.display_name,
            cron=note["cron"],
            template=note["template"],
            spec=note["spec"],
            settings=note["settings"],
            parameters=note["parameters"],
            state="active" if one.mode == "ENABLE" else "paused",
            start=cron.start_time,
            end=cron.end_time,
            max_active_runs=int(one.max_concurrency),
            id=one.recurring_run_id,
            console=f"{self.settings.host.rstrip('/')}/#/recurringrun/details/{one.recurring_run_id}",
            superseded=tuple(id_ for id_ in others if id_ != one.recurring_run_id),
        )


def _text(moment: datetime.datetime | None) -> str | None:
    return moment.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z") if moment else None
