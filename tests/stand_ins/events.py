"""Eventarc, Workflows and the objects of Cloud Storage on loopback: an object's event starts a workflow's execution."""

import contextlib
import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from google.cloud.aiplatform_v1 import types
from google.protobuf import json_format

from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving
from tests.stand_ins.workflows import Execution, WorkflowError, check_source

PROJECT = "my-project"
PARENT = r"projects/[a-z0-9-]+/locations/[a-z0-9-]+"
WRITABLE = {
    # https://cloud.google.com/workflows/docs/reference/rest/v1/projects.locations.workflows
    "workflows": {"description", "labels", "serviceAccount", "sourceContents", "callLogLevel", "userEnvVars"},
    # https://cloud.google.com/eventarc/docs/reference/rest/v1/projects.locations.triggers
    "triggers": {"eventFilters", "serviceAccount", "destination", "labels", "transport", "eventDataContentType"},
}
IDS = {
    # "The ID of the workflow must start with a letter, contain letters, numbers, underscores, and hyphens, 1-64".
    "workflows": ("workflowId", re.compile(r"[a-zA-Z]([\w-]{0,62}[a-zA-Z0-9])?")),
    # Resource IDs of Eventarc: https://google.aip.dev/122, at most 63 characters.
    "triggers": ("triggerId", re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")),
}
LABEL = re.compile(r"[a-z0-9_-]{0,63}")


@dataclass
class EventsStandIn:
    """One project.

    Attributes:
        url: Where it listens.
        buckets: Location by bucket.
        resources: Workflows and triggers by name.
        jobs: The pipeline jobs that workflows started, by id.
        results: What the executions returned, in the order of their ends.
        refused: Kinds of resources that this caller may not write.
        failing: Statuses of the next requests of executions; 599 for an answer that is lost.
        writes: What was written.
    """

    url: str = ""
    buckets: dict[str, str] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: list[Any] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    failing: list[int] = field(default_factory=list)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["EventsStandIn"]:
        """Starts it on a free port."""
        stand_in = cls()
        with serving(stand_in, stand_in.faults) as stand_in.url:
            yield stand_in

    def name(self, request: Request) -> str:
        kind = "workflows" if "/workflows" in request.path else "triggers" if "/triggers" in request.path else "other"
        return f"{request.verb} {kind}"

    def answer(self, request: Request) -> Answer:
        if bucket := re.fullmatch(r"/storage/v1/b/([^/]+)", request.path):
            if bucket[1] not in self.buckets:
                raise ApiError(404, "The specified bucket does not exist.")
            return _json({"name": bucket[1], "location": self.buckets[bucket[1]].upper()})
        if re.fullmatch(rf"/v1/{PARENT}/operations/\d+", request.path):
            return _json(self._operation(request.path[4:]))
        match = re.fullmatch(rf"/v1/({PARENT})/(workflows|triggers)(?:/([^/]+))?", request.path)
        if not match:
            raise ApiError(404, f"no method for {request.verb} {request.path}")
        parent, kind, id_ = match.groups()
        query = dict(request.query)
        if request.verb == "GET":
            return _json(self._get(f"{parent}/{kind}/{id_}") if id_ else self._list(parent, kind, query))
        if kind in self.refused:
            service = {"workflows": "workflows.workflows", "triggers": "eventarc.triggers"}[kind]
            raise ApiError(403, f"Permission '{service}.create' denied on resource")
        self.writes.append(f"{request.verb} {kind}")
        if request.verb == "DELETE":
            del self.resources[self._get(f"{parent}/{kind}/{id_}")["name"]]
            return _json(self._start(parent, {}))
        body = json.loads(request.body)
        if unknown := set(body) - WRITABLE[kind]:
            raise ApiError(400, f"Invalid JSON payload received. Unknown name {sorted(unknown)}")
        if request.verb == "POST":
            return _json(self._create(parent, kind, query, body))
        return _json(self._update(parent, f"{parent}/{kind}/{id_}", kind, query, body))

    def _create(self, parent: str, kind: str, query: Mapping[str, str], body: dict[str, Any]) -> dict[str, Any]:
        parameter, form = IDS[kind]
        id_ = query.get(parameter, "")
        if not form.fullmatch(id_):
            raise ApiError(400, f"{parameter} {id_!r} is invalid")
        name = f"{parent}/{kind}/{id_}"
        if name in self.resources:
            raise ApiError(409, f"Resource {name} already exists")
        self._check(kind, parent, body)
        self.resources[name] = {"name": name, **body}
        return self._start(parent, self.resources[name])

    def _update(
        self, parent: str, name: str, kind: str, query: Mapping[str, str], body: dict[str, Any]
    ) -> dict[str, Any]:
        mask = query.get("updateMask", "").split(",")
        if set(mask) - WRITABLE[kind]:
            raise ApiError(400, f"updateMask {mask} has unknown fields")
        changed = {**self._get(name), **{key: body[key] for key in mask}}
        before = {one["attribute"]: one["value"] for one in self._get(name).get("eventFilters", [])}
        after = {one["attribute"]: one["value"] for one in changed.get("eventFilters", [])}
        # The type of a trigger's events cannot be changed: docs of gcloud eventarc triggers update.
        if before.get("type") != after.get("type"):
            raise ApiError(400, "the event type of a trigger cannot be changed")
        self._check(kind, parent, changed)
        self.resources[name] = changed
        return self._start(parent, changed)

    def _check(self, kind: str, parent: str, body: Mapping[str, Any]) -> None:
        if not all(LABEL.fullmatch(text) for item in body.get("labels", {}).items() for text in item):
            raise ApiError(400, f"invalid labels {body['labels']}")
        if kind == "workflows":
            try:
                check_source(body["sourceContents"])
            except (ValueError, SyntaxError, TypeError, KeyError) as error:
                raise ApiError(400, f"main.sourceContents: {error}") from None
            return
        filters = {one["attribute"]: one["value"] for one in body["eventFilters"]}
        if set(filters) != {"type", "bucket"} or filters["type"] != "google.cloud.storage.object.v1.finalized":
            raise ApiError(400, f"The request was invalid: invalid event filters {filters}")
        # The trigger's location is that of the bucket:
        # https://cloud.google.com/eventarc/docs/workflows/route-trigger-cloud-storage
        if self.buckets.get(filters["bucket"]) != parent.rpartition("/")[2]:
            raise ApiError(400, "The request was invalid: Bucket must be in the same location as the trigger")
        if body["destination"].get("workflow") not in self.resources:
            raise ApiError(400, "The request was invalid: the destination workflow does not exist")

    def _start(self, parent: str, response: Mapping[str, Any]) -> dict[str, Any]:
        name = f"{parent}/operations/{len(self.operations) + 1}"
        self.operations[name] = {"name": name, "done": False, "response": dict(response)}
        return {"name": name, "metadata": {}, "done": False}

    def _operation(self, name: str) -> dict[str, Any]:
        found = self.operations[name]
        shown = dict(found) if found["done"] else {"name": name, "done": False}
        found["done"] = True
        return shown

    def _get(self, name: str) -> dict[str, Any]:
        if name not in self.resources:
            raise ApiError(404, f"Resource '{name}' was not found")
        return self.resources[name]

    def _list(self, parent: str, kind: str, query: Mapping[str, str]) -> dict[str, Any]:
        """One resource in a page; a workflow without its source, and with the location `-` those of all locations."""
        pattern = re.escape(parent).replace(r"locations/\-", "locations/[a-z0-9-]+")
        found = [one for name, one in self.resources.items() if re.match(rf"{pattern}/{kind}/", name)]
        start = int(query.get("pageToken") or 0)
        page = [
            {key: value for key, value in one.items() if key != "sourceContents"} for one in found[start : start + 1]
        ]
        more = {"nextPageToken": str(start + 1)} if start + 1 < len(found) else {}
        return {kind: page, **more} if page else more

    def deliver(self, events: list[tuple[float, dict[str, Any]]]) -> None:
        """Delivers events, each at its time; executions that sleep see what the others and the bucket did meanwhile.

        The bucket's versions are put there by the events' own times: an event's object exists from its time on.
        """
        history = [(event["data"], _time(event["data"]["timeCreated"])) for _, event in events]

        for delivered, event in sorted(events, key=lambda one: one[0]):
            for trigger in [one for name, one in self.resources.items() if "/triggers/" in name]:
                filters = {one["attribute"]: one["value"] for one in trigger["eventFilters"]}
                if filters["bucket"] != event["data"]["bucket"]:
                    continue
                self._execute(trigger["destination"]["workflow"], event, delivered, history)

    def _execute(self, workflow: str, event: Mapping[str, Any], at: float, history: list[Any]) -> None:
        clock = [at]

        def sleep(seconds: float) -> None:
            clock[0] += seconds

        def http(verb: str, url: str, query: Mapping[str, Any], body: Any) -> Any:
            if self.failing:
                code = self.failing.pop(0)
                if code != 599:
                    raise WorkflowError({"tags": ["HttpError"], "code": code, "message": "failed", "body": {}})
                # The answer is lost.
                self._http(verb, url, query, body, clock[0], history)
                raise WorkflowError({"tags": ["ConnectionError"], "message": "reset"})
            return self._http(verb, url, query, body, clock[0], history)

        content = check_source(self.resources[workflow]["sourceContents"])
        self.results.append(Execution(content, http, sleep).run(dict(event)))

    def _http(self, verb: str, url: str, query: Mapping[str, Any], body: Any, now: float, history: list[Any]) -> Any:
        parts = urlsplit(url)
        if parts.hostname == "storage.googleapis.com":
            assert verb == "GET"
            bucket = parts.path.split("/")[4]
            live: dict[str, Any] = {}
            for item, created in sorted(history, key=lambda one: one[1]):
                if item["bucket"] == bucket and created <= now and item["name"].startswith(query["prefix"]):
                    live[item["name"]] = {key: item[key] for key in ("name", "generation", "timeCreated")}
            found = [live[name] for name in sorted(live)]
            start = int(query["pageToken"] or 0)
            end = start + min(int(query["maxResults"]), 2)
            return {
                **({"items": found[start:end]} if found[start:end] else {}),
                **({"nextPageToken": str(end)} if end < len(found) else {}),
            }
        assert parts.hostname == "us-central1-aiplatform.googleapis.com"
        assert (verb, parts.path) == ("POST", f"/v1/projects/{PROJECT}/locations/us-central1/pipelineJobs")
        job = json_format.ParseDict(body, types.PipelineJob.pb(types.PipelineJob()))
        # pipeline_job.proto: the spec is downloaded from template_uri if it is empty.
        if not re.search(r"/sha256:[0-9a-f]{64}$", job.template_uri) or job.HasField("pipeline_spec"):
            raise WorkflowError({"tags": ["HttpError"], "code": 400, "message": "template_uri", "body": {}})
        id_ = query["pipelineJobId"]
        if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", id_):
            raise WorkflowError({"tags": ["HttpError"], "code": 400, "message": "pipeline_job_id", "body": {}})
        if id_ in self.jobs:
            raise WorkflowError({"tags": ["HttpError"], "code": 409, "message": "exists", "body": {}})
        self.jobs[id_] = {**body, "createTime": now}
        return {"name": f"projects/1/locations/us-central1/pipelineJobs/{id_}"}


def object_event(bucket: str, name: str, at: float) -> dict[str, Any]:
    """The event of a new version of an object.

    https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/storage/v1/data.proto
    """
    stamp = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")
    item = {"name": name, "generation": str(round(at * 1e6)), "timeCreated": stamp.replace("+00:00", "Z")}
    return {"type": "google.cloud.storage.object.v1.finalized", "data": {"bucket": bucket, **item}}


def _time(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _json(content: Any) -> Answer:
    return Answer(json.dumps(content).encode())
