"""Triggers on Vertex: new data in a bucket starts a run.

Eventarc passes Cloud Storage's events to a workflow, which waits until the data is quiet and starts a run of an
uploaded version (`trigger_workflow.yaml`). A trigger is both resources, under one name. The workflow's source holds the
trigger's settings, so that they can be read back and compared with the configuration.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqline.errors import UserError
from seqline.schema.options import whole_numbers
from seqline.targets.schedule_plan import Difference, differing
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.jobs import MANAGED, pipeline_job
from seqline.targets.vertex.templates import digest
from seqline.vertex_api.run_page import CONSOLE

WORKFLOWS, EVENTARC = "https://workflows.googleapis.com/v1", "https://eventarc.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com/storage/v1"
# https://cloud.google.com/eventarc/docs/reference/supported-events: a new object, or a new version of one.
EVENT = "google.cloud.storage.object.v1.finalized"
NAME = "seqline-trigger"
PLACEHOLDER = 'content: "{}"'
# https://cloud.google.com/workflows/quotas: size of a workflow's source.
SOURCE_LIMIT = 128 * 1024
POLLS, POLL_SECONDS = 150, 2.0
# Fields that Eventarc or Workflows change in place; another bucket is another trigger.
UPDATABLE = frozenset(
    {"quiet_seconds", "template", "parameters", "settings", "service_account", "state", "pattern", "source"}
)


@dataclass(frozen=True)
class Trigger:
    """A trigger: as the configuration wants it, or as it exists.

    Attributes:
        name: Its name, unique in the project and region.
        bucket: The bucket.
        pattern: Pattern of the objects' names.
        quiet_seconds: Time after the last new object until the run starts.
        service_account: Account of the workflow and its events.
        template: `Template.reference` of its pipeline.
        settings: Settings of its runs, such as their service account.
        parameters: Parameter values of its runs.
        state: `incomplete` if only one of its two resources exists.
        source: Digest of the workflow's source.
        workflow: The workflow's name at the service; empty if it does not exist.
        events: The Eventarc trigger's name at the service; empty if it does not exist.
        console: Address of the workflow's page, which lists its executions.
    """

    name: str
    bucket: str
    pattern: str
    quiet_seconds: int
    service_account: str
    template: str
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: Literal["active", "incomplete"] = "active"
    source: str = ""
    workflow: str = ""
    events: str = ""
    console: str = ""


def differences(wanted: Trigger, existing: Trigger) -> Iterator[Difference]:
    """Yields the fields of an existing trigger that differ from the configuration.

    Args:
        wanted: From the configuration.
        existing: From the service.
    """
    plain = ("bucket", "pattern", "quiet_seconds", "service_account", "template", "state")
    found = [
        Difference(name, getattr(existing, name), getattr(wanted, name))
        for name in plain
        if getattr(existing, name) != getattr(wanted, name)
    ]
    for group in ("parameters", "settings"):
        found += differing(group, getattr(existing, group), getattr(wanted, group))
    # Another version of Seqline writes another workflow.
    if not found and existing.source != wanted.source:
        found.append(Difference("source", existing.source, wanted.source))
    yield from found


def expression(pattern: str) -> str:
    """Returns a pattern of objects as a regular expression in RE2's syntax.

    Args:
        pattern: `*` stands for any characters but `/`, `**` for any.
    """
    parts = re.split(r"(\*\*|\*)", pattern)
    return "^" + "".join({"**": ".*", "*": "[^/]*"}.get(part) or _quoted(part) for part in parts) + "$"


def _quoted(text: str) -> str:
    return "".join(c if c.isalnum() or c in "_-/ " or ord(c) > 127 else f"\\{c}" for c in text)


class Triggers:
    """Finds, creates, changes and deletes triggers.

    Args:
        connection: The connection to the project and region.
    """

    updatable = UPDATABLE

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings

    def found(self) -> list[Trigger]:
        """Returns the triggers that Seqline created, by name."""
        workflows = {_name(one): one for one in self._list(f"{WORKFLOWS}/{self.connection.parent}/workflows")}
        # A trigger is where its bucket is; all regions are asked.
        everywhere = f"projects/{self.settings.project}/locations/-"
        events = {_name(one): one for one in self._list(f"{EVENTARC}/{everywhere}/triggers")}
        here = {name: one for name, one in events.items() if self._leads_here(one)}
        return [self._shown(name, workflows.get(name), here.get(name)) for name in sorted({*workflows, *here} - {""})]

    def complete(self, wanted: Trigger) -> Trigger:
        """Adds what follows from a trigger's other fields, so that it can be compared with an existing one.

        Args:
            wanted: From the configuration.
        """
        return dataclasses.replace(wanted, source=digest(self.source(wanted)))

    def save(self, wanted: Trigger, existing: Trigger | None) -> Trigger:
        """Creates, updates or replaces a trigger; the same call twice leaves one trigger.

        Args:
            wanted: From the configuration.
            existing: From the service, or None.
        """
        location = self._location(wanted.bucket)
        workflow = self._save_workflow(wanted)
        if existing is not None and existing.events and existing.bucket != wanted.bucket:
            self._delete(EVENTARC, existing.events)
        self._save_events(wanted, workflow, location)
        return next(one for one in self.found() if one.name == wanted.name)

    def delete(self, trigger: Trigger) -> None:
        """Deletes a trigger; a missing one is not an error. Runs that it started remain."""
        # The events first: without the workflow they would only fail.
        for service, name in ((EVENTARC, trigger.events), (WORKFLOWS, trigger.workflow)):
            if name:
                self._delete(service, name)

    def source(self, wanted: Trigger) -> str:
        """Returns the source of a trigger's workflow.

        Args:
            wanted: The trigger.

        Raises:
            UserError: If it is too long.
        """
        region = self.settings.location
        content = {
            "name": wanted.name,
            "bucket": wanted.bucket,
            "objects": wanted.pattern,
            "pattern": expression(wanted.pattern),
            "prefix": re.split(r"\*", wanted.pattern, maxsplit=1)[0],
            "quiet_seconds": wanted.quiet_seconds,
            "url": f"https://{region}-aiplatform.googleapis.com/v1/{self.connection.parent}/pipelineJobs",
            "settings": dict(wanted.settings),
            "job": self._job(wanted),
        }
        # A workflow evaluates ${...} in any text.
        text = json.dumps(content, ensure_ascii=False, sort_keys=True).replace("$", "\\u0024")
        template = Path(__file__).with_name("trigger_workflow.yaml").read_text(encoding="utf-8")
        source = template.replace(PLACEHOLDER, f"content: {json.dumps(text, ensure_ascii=False)}", 1)
        if len(source.encode()) > SOURCE_LIMIT:
            raise UserError(
                f"trigger {wanted.name}: its workflow has {len(source.encode()):,} bytes, and Workflows takes "
                f"{SOURCE_LIMIT:,}; put long parameters into the template (`seqline upload`)"
            )
        return source

    def _job(self, wanted: Trigger) -> dict[str, Any]:
        """The request that starts a run; the service reads the pipeline from the template."""
        from google.protobuf import json_format

        spec = {"pipelineInfo": {"name": wanted.template.split("/")[-2]}}
        job = pipeline_job(spec, wanted.parameters, self.settings, labels={NAME: wanted.name})
        body: dict[str, Any] = json_format.MessageToDict(type(job).pb(job))
        del body["pipelineSpec"]
        body["templateUri"] = wanted.template
        # The protobuf would make floats of integers.
        body["runtimeConfig"]["parameterValues"] = whole_numbers(dict(wanted.parameters))
        return body

    def _save_workflow(self, wanted: Trigger) -> str:
        parent, id_ = f"{self.connection.parent}/workflows", f"seqline-{wanted.name}"
        body = {
            "description": f"Seqline's trigger {wanted.name}: new data in gs://{wanted.bucket} starts a run",
            "labels": {**self.settings.labels, **MANAGED, NAME: wanted.name},
            "serviceAccount": wanted.service_account,
            "sourceContents": self.source(wanted),
        }

        def same(found: Mapping[str, Any]) -> bool:
            account = str(found.get("serviceAccount", "")).rpartition("/")[2]
            rest = all(found.get(key) == body[key] for key in ("sourceContents", "labels", "description"))
            return rest and account == wanted.service_account

        self._save(f"save the workflow {id_}", WORKFLOWS, parent, id_, "workflowId", body, same)
        return f"{parent}/{id_}"

    def _save_events(self, wanted: Trigger, workflow: str, location: str) -> None:
        parent, id_ = f"projects/{self.settings.project}/locations/{location}/triggers", f"seqline-{wanted.name}"
        filters = [{"attribute": "type", "value": EVENT}, {"attribute": "bucket", "value": wanted.bucket}]
        body = {
            "eventFilters": filters,
            "destination": {"workflow": workflow},
            "serviceAccount": wanted.service_account,
            "labels": {**self.settings.labels, **MANAGED, NAME: wanted.name},
        }

        def same(found: Mapping[str, Any]) -> bool:
            rest = found.get("labels") == body["labels"] and found.get("serviceAccount") == wanted.service_account
            rest = rest and found.get("destination", {}).get("workflow") == workflow
            return rest and _filters(found) == {one["attribute"]: one["value"] for one in filters}

        self._save(f"save the trigger {id_}", EVENTARC, parent, id_, "triggerId", body, same)

    def _save(
        self,
        what: str,
        service: str,
        parent: str,
        id_: str,
        parameter: str,
        body: dict[str, Any],
        same: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        """Creates a resource, or changes what differs; it is looked up before every attempt."""
        name = f"{parent}/{id_}"

        def look() -> Mapping[str, Any] | None:
            found = self._get(f"{service}/{name}")
            if found is not None and _name(found) != body["labels"][NAME]:
                raise UserError(f"cannot {what}: another {id_} exists that Seqline did not create; rename the trigger")
            return found if found is not None and same(found) else None

        def write() -> Mapping[str, Any]:
            if self._get(f"{service}/{name}") is None:
                return self._request("POST", f"{service}/{parent}", params={parameter: id_}, json=body)
            mask = ",".join(sorted(body))
            return self._request("PATCH", f"{service}/{name}", params={"updateMask": mask}, json=body)

        self._wait(service, what, self.connection.write(what, look, write))

    def _delete(self, service: str, name: str) -> None:
        what = f"delete {name.rpartition('/')[2]}"

        def gone() -> Mapping[str, Any] | None:
            return {} if self._get(f"{service}/{name}") is None else None

        self._wait(
            service, what, self.connection.write(what, gone, lambda: self._request("DELETE", f"{service}/{name}"))
        )

    def _wait(self, service: str, what: str, answer: Mapping[str, Any]) -> None:
        """Waits for the operation that an answer names."""
        from google.api_core.exceptions import from_grpc_status

        if "/operations/" not in str(answer.get("name", "")):
            return
        for _ in range(POLLS):
            if answer.get("done"):
                break
            self.connection.sleep(POLL_SECONDS)
            name = answer["name"]
            answer = self.connection.read(what, lambda: self._request("GET", f"{service}/{name}"))  # noqa: B023
        else:
            raise UserError(f"cannot {what}: it did not end within {POLLS * POLL_SECONDS:.0f} s; run this again")
        error = answer.get("error")
        if error:
            with self.connection.explained(what):
                raise from_grpc_status(error.get("code", 2), error.get("message", ""))

    def _location(self, bucket: str) -> str:
        """The location of a bucket, where its Eventarc trigger must be."""
        found = self._get(f"{STORAGE}/b/{bucket}", f"look up the location of gs://{bucket}")
        if found is None:
            raise UserError(f"there is no bucket gs://{bucket}; correct the trigger's objects, or create it")
        return str(found["location"]).lower()

    def _leads_here(self, found: Mapping[str, Any]) -> bool:
        location = str(found.get("destination", {}).get("workflow", "")).split("/")[3:4]
        return location == [self.settings.location]

    def _shown(self, name: str, workflow: Mapping[str, Any] | None, events: Mapping[str, Any] | None) -> Trigger:
        # The list leaves the source out.
        full = self._get(f"{WORKFLOWS}/{workflow['name']}") if workflow else None
        content = _content(str((full or {}).get("sourceContents", "")))
        job = content.get("job", {})
        filters = _filters(events or {})
        page = f"{CONSOLE}/workflows/workflow/{self.settings.location}/seqline-{name}/executions"
        return Trigger(
            name=name,
            bucket=filters.get("bucket", content.get("bucket", "")),
            pattern=content.get("objects", ""),
            quiet_seconds=content.get("quiet_seconds", 0),
            service_account=str((full or events or {}).get("serviceAccount", "")).rpartition("/")[2],
            template=job.get("templateUri", ""),
            settings=content.get("settings", {}),
            parameters=job.get("runtimeConfig", {}).get("parameterValues", {}),
            state="active" if workflow and events else "incomplete",
            source=digest(str((full or {}).get("sourceContents", ""))),
            workflow=str(workflow["name"]) if workflow else "",
            events=str(events["name"]) if events else "",
            console=f"{page}?project={self.settings.project}",
        )

    def _list(self, url: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        token = ""
        kind = url.rpartition("/")[2]
        while True:
            params = {"pageToken": token} if token else {}
            page = self.connection.read(f"list the {kind}", lambda: self._request("GET", url, params=params))  # noqa: B023
            found += [one for one in page.get(kind, []) if _name(one)]
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def _get(self, url: str, what: str = "") -> Mapping[str, Any] | None:
        from google.api_core.exceptions import NotFound

        def call() -> Mapping[str, Any] | None:
            try:
                return self._request("GET", url)
            except NotFound:
                return None

        return self.connection.read(what or f"look up {url.rpartition('/')[2]}", call)

    def _request(self, verb: str, url: str, **content: Any) -> Mapping[str, Any]:
        from google.api_core.exceptions import from_http_response

        if self.connection.plain:
            url = self.settings.api_endpoint.rstrip("/") + "/" + url.split("/", 3)[3]
        response = self.connection.session.request(verb, url, timeout=60, **content)
        if response.status_code >= 400:
            raise from_http_response(response)
        return dict(response.json())


def _name(found: Mapping[str, Any]) -> str:
    labels = found.get("labels", {})
    return str(labels.get(NAME, "")) if labels.get("managed-by") == "seqline" else ""


def _filters(found: Mapping[str, Any]) -> dict[str, str]:
    return {one["attribute"]: one["value"] for one in found.get("eventFilters", [])}


def _content(source: str) -> Mapping[str, Any]:
    """The settings in a workflow's source; none if it is not one of this version."""
    import yaml

    try:
        first = yaml.safe_load(source)["main"]["steps"][0]["read"]["assign"][0]["content"]
        return dict(json.loads(first))
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError):
        return {}
