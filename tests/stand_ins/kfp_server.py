"""A Kubeflow Pipelines API server (v2beta1).

Bodies are held to the models of kfp's own generated client, and settings of pods to kfp-kubernetes's message, as the
driver reads them. With a `gate` it requires a login.
"""

import contextlib
import dataclasses
import datetime
import email
import itertools
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import kfp_server_api
import yaml
from cronsim import CronSim
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from tests.stand_ins.kfp_gate import Gate, Identity
from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving
from tests.stand_ins.vertex.pipelines import tasks

BASE = "/apis/v2beta1/"
POD_LOG = re.compile(r"/apis/v1alpha1/runs/[^/]+/nodes/([^/]+)/log")
ENDED = {"SUCCEEDED", "FAILED", "CANCELED"}
KINDS = re.compile(r"(?:dict\(str, (\w+)\)|list\[(\w+)\]|(\w+))")


def check(kind: str, content: Any, path: str = "") -> None:
    """Refuses a body that has a field which the model does not have, or one of another type."""
    inner = KINDS.fullmatch(kind)
    assert inner
    if content is None or inner[3] in {"object", "datetime"}:
        return
    if inner[1] or inner[2]:
        if not isinstance(content, dict if inner[1] else list):
            raise ApiError(400, f"{path} is not a {kind}")
        for one in content.values() if inner[1] else content:
            check(inner[1] or inner[2], one, path)
        return
    if kind in {"str", "bool", "int"}:
        if not isinstance(content, {"str": (str, int), "bool": bool, "int": int}[kind]):  # type: ignore[arg-type]
            raise ApiError(400, f"{path} is not a {kind}")
        return
    model = getattr(kfp_server_api, kind)
    known = {json_name: name for name, json_name in model.attribute_map.items()}
    if not known:
        return
    for name, value in content.items():
        if name not in known:
            raise ApiError(400, f"unknown field {path}{name}")
        check(model.openapi_types[known[name]], value, f"{path}{name}.")


@dataclass
class KfpServer:
    """One server.

    Attributes:
        url: Where it listens.
        failing: Error messages by the names of tasks that fail.
        pace: The time that passes after each request; enabled recurring runs start their runs meanwhile.
        started: The recurring run's name and the minute of each run that a recurring run started.
        logs: By the name of a pod, what it printed.
        tag: Its version.
        multi_user: Whether users have namespaces of their own.
        gate: What logs callers in; without one everybody may do everything.
    """

    url: str = ""
    tag: str = "2.17.0"
    multi_user: bool = False
    gate: Gate | None = None
    caller: Identity = field(default_factory=Identity)
    faults: Faults = field(default_factory=Faults)
    failing: dict[str, str] = field(default_factory=dict)
    pace: datetime.timedelta = datetime.timedelta()
    started: list[tuple[str, datetime.datetime]] = field(default_factory=list)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    now: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc))

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["KfpServer"]:
        """Starts it on a free port."""
        stand_in = cls()
        with serving(stand_in, stand_in.faults) as stand_in.url:
            yield stand_in

    @property
    def host(self) -> str:
        """The API's address: behind a gate it is below /pipeline, as in the Kubeflow platform."""
        return f"{self.url}/pipeline" if self.gate else self.url

    def name(self, request: Request) -> str:
        """The verb and the path without ids, such as POST runs."""
        path = request.path.removeprefix("/pipeline").removeprefix(BASE)
        kind, _, rest = path.partition("/")
        verb = rest.rpartition(":")[2] if ":" in rest else rest if "upload" in rest else ""
        return f"{request.verb} {kind}{' ' + verb if verb else ''}"

    def answer(self, request: Request) -> Answer:
        """Carries a request out."""
        if self.gate:
            passed = self.gate.check(request, self.url)
            if isinstance(passed, Answer):
                return passed
            self.caller = passed
            request = dataclasses.replace(request, path=request.path.removeprefix("/pipeline"))
        answer = self._answer(request)
        self.pass_time(self.now + self.pace)
        return answer

    def pass_time(self, until: datetime.datetime) -> None:
        """Sets the clock forward; enabled recurring runs start what is due, and nothing that they missed.

        The scheduled workflow controller, backend/src/crd/controller/scheduledworkflow/util/cron_schedule.go, reads
        cron in UTC and starts nothing for a disabled one.
        """
        for one in self.recurring.values():
            if one["mode"] == "ENABLE":
                ticks = CronSim(one["trigger"]["cron_schedule"]["cron"], self.now)
                due = itertools.takewhile(lambda moment: moment <= until, ticks)
                self.started += [(one["display_name"], moment) for moment in due]
        self.now = max(self.now, until)

    def _answer(self, request: Request) -> Answer:
        if wanted := POD_LOG.fullmatch(request.path):
            # ReadRunLogV1 in backend/src/apiserver/server/run_log_server.go.
            if wanted[1] not in self.logs:
                raise ApiError(500, f'pods "{wanted[1]}" not found')
            return Answer(self.logs[wanted[1]].encode(), content_type="text/plain")
        path, query = request.path.removeprefix(BASE), dict(request.query)
        if path == "healthz":
            # newHealthzResponse in backend/src/apiserver/main.go; kfp's client leaves out the first two.
            said = {"commit_sha": "unknown", "tag_name": self.tag, "multi_user": self.multi_user}
            return _json({**said, "pipeline_store": "database"})
        if path.startswith("pipelines/upload"):
            return _json(self._upload(request, query))
        if versions := re.fullmatch(r"pipelines/([^/]+)/versions(?:/([^/]+))?", path):
            held = [one for one in self.versions.values() if one["pipeline_id"] == versions[1]]
            if request.verb == "PATCH":
                return _json(self._patch(_get(self.versions, versions[2]), json.loads(request.body)))
            return _json(_get(self.versions, versions[2]) if versions[2] else {"pipeline_versions": held})
        kind, _, rest = path.partition("/")
        id_, _, verb = rest.partition(":")
        if kind == "runs":
            return _json(self._run(request, id_, verb, query))
        if kind == "recurringruns":
            return _json(self._recurring(request, id_, verb, query))
        if kind == "experiments":
            return _json(self._experiment(request))
        if kind == "pipelines" and not rest:
            wanted = json.loads(query["filter"])["predicates"][0]["stringValue"] if "filter" in query else None
            # Without a namespace those of all users are listed (ListPipelines in pipeline_server.go).
            namespace = self._namespace(query.get("namespace", ""))
            found = [
                one
                for one in self.pipelines.values()
                if wanted in (None, one["display_name"]) and one["namespace"] == namespace
            ]
            return _json({"pipelines": found, "total_size": len(found)})
        raise ApiError(404, f"no {request.verb} {path}")

    def _upload(self, request: Request, query: dict[str, str]) -> dict[str, Any]:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        (part,) = email.message_from_bytes(head + request.body).get_payload()  # type: ignore[misc]
        documents = [one for one in yaml.safe_load_all(part.get_payload(decode=True)) if one]  # type: ignore[union-attr]
        json_format.ParseDict(documents[0], PipelineSpec())
        for platform in documents[1:]:
            executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
            for executor in executors.values():
                json_format.ParseDict(executor, KubernetesExecutorConfig())
        content = (
            documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}
        )
        pipeline_id = query.get("pipelineid", "")
        made: dict[str, Any] = {}
        if not pipeline_id:
            namespace = self._namespace(query.get("namespace", ""))
            names = [(one["display_name"], one["namespace"]) for one in self.pipelines.values()]
            if (query["name"], namespace) in names:
                raise ApiError(409, f"the pipeline {query['name']} already exists")
            made = {"pipeline_id": str(uuid.uuid4()), "display_name": query["name"], "created_at": self._tick()}
            made["namespace"] = namespace
            pipeline_id = made["pipeline_id"]
            self.pipelines[pipeline_id] = made
        version = {
            "pipeline_id": _get(self.pipelines, pipeline_id)["pipeline_id"],
            "pipeline_version_id": str(uuid.uuid4()),
            "display_name": query["name"],
            "created_at": self._tick(),
            "pipeline_spec": content,
        }
        self.versions[version["pipeline_version_id"]] = version
        return made or version

    def _namespace(self, given: str, required: bool = False) -> str:
        """The namespace that counts: none for one user (ReplaceNamespace in resource_manager.go)."""
        if not self.multi_user:
            return ""
        if required and not given:
            raise ApiError(400, "an empty namespace in multi-user mode")
        if given and given not in self.caller.namespaces:
            # IsAuthorized in resource_manager.go.
            raise ApiError(403, f"User '{self.caller.user}' is not authorized in the namespace {given}")
        return given

    def _patch(self, version: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        check("V2beta1PipelineVersion", content)
        tags = content.get("tags")
        if self.tag < "2.17":
            raise ApiError(501, "Method Not Allowed")
        # ValidateTags in backend/src/apiserver/model/pipeline_tags.go.
        if tags and (len(tags) > 20 or any("." in key or not 0 < len(key) <= 63 for key in tags)):
            raise ApiError(400, "a tag has the wrong form")
        if tags is not None:
            version["tags"] = tags
        return version

    def _experiment(self, request: Request) -> dict[str, Any]:
        if request.verb == "GET":
            namespace = self._namespace(dict(request.query).get("namespace", ""), required=True)
            found = [one for one in self.experiments.values() if one["namespace"] == namespace]
            return {"experiments": found, "total_size": len(found)}
        content = json.loads(request.body)
        check("V2beta1Experiment", content)
        content["namespace"] = self._namespace(content.get("namespace", ""), required=True)
        content["experiment_id"] = str(uuid.uuid4())
        self.experiments[content["experiment_id"]] = content
        return content

    def _spec(self, content: dict[str, Any]) -> PipelineSpec:
        spec = content.get("pipeline_spec")
        if not spec:
            reference = content["pipeline_version_reference"]
            spec = _get(self.versions, reference["pipeline_version_id"])["pipeline_spec"]
        return json_format.ParseDict(spec.get("pipeline_spec", spec), PipelineSpec())

    def _check_job(self, kind: str, content: dict[str, Any]) -> PipelineSpec:
        check(kind, content)
        _get(self.experiments, content["experiment_id"])
        spec = self._spec(content)
        unknown = set(content["runtime_config"].get("parameters", {})) - set(spec.root.input_definitions.parameters)
        if unknown:
            raise ApiError(400, f"the pipeline has no parameter {sorted(unknown)}")
        return spec

    def _run(self, request: Request, id_: str, verb: str, query: dict[str, str]) -> dict[str, Any]:
        if request.verb == "POST" and not id_:
            run: dict[str, Any] = json.loads(request.body)
            spec = self._check_job("V2beta1Run", run)
            names = [name for _, name, leaf in tasks(spec) if leaf]
            details = [{"display_name": name, "state": "PENDING", "pod_name": f"pod-{name}"} for name in names]
            run |= {"run_id": str(uuid.uuid4()), "state": "PENDING", "created_at": self._tick()}
            run["run_details"] = {"task_details": details}
            self.runs[run["run_id"]] = run
            return run
        if not id_:
            self._namespace(query.get("namespace", ""), required=True)
            newest = list(self.runs.values())[::-1][: int(query["page_size"])]
            return {"runs": newest, "total_size": len(self.runs)}
        run = _get(self.runs, id_)
        if verb == "terminate":
            run |= {"state": "CANCELED", "finished_at": self._tick()}
            return {}
        return self._advance(run)

    def _advance(self, run: dict[str, Any]) -> dict[str, Any]:
        if run["state"] in ENDED:
            return run
        run["state"] = "RUNNING"
        waiting = [task for task in run["run_details"]["task_details"] if task["state"] == "PENDING"]
        if waiting:
            error = self.failing.get(waiting[0]["display_name"])
            waiting[0] |= {"state": "FAILED" if error else "SUCCEEDED", "start_time": self._tick()}
            waiting[0]["end_time"] = self._tick()
            if error:
                waiting[0]["error"] = {"code": 9, "message": error}
                run |= {"state": "FAILED", "finished_at": self._tick(), "error": {"code": 9, "message": error}}
        else:
            run |= {"state": "SUCCEEDED", "finished_at": self._tick()}
        return run

    def _recurring(self, request: Request, id_: str, verb: str, query: dict[str, str]) -> dict[str, Any]:
        if request.verb == "POST" and not id_:
            content: dict[str, Any] = json.loads(request.body)
            self._check_job("V2beta1RecurringRun", content)
            if len(content["trigger"]["cron_schedule"]["cron"].split()) != 6:
                raise ApiError(400, "a cron expression has six fields")
            # toModelJob in backend/src/apiserver/server/api_converter.go.
            most = int(content.get("max_concurrency") or 0)
            if not 1 <= most <= 10:
                message = f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {most}"
                raise ApiError(400, message)
            content |= {"recurring_run_id": str(uuid.uuid4()), "created_at": self._tick()}
            self.recurring[content["recurring_run_id"]] = content
            return content
        if not id_:
            self._namespace(query.get("namespace", ""), required=True)
            start = int(query.get("page_token") or 0)
            page = list(self.recurring.values())[start : start + 1]
            more = start + 1 < len(self.recurring)
            return {"recurringRuns": page, "next_page_token": str(start + 1) if more else ""}
        found = _get(self.recurring, id_)
        if request.verb == "DELETE":
            del self.recurring[id_]
            return {}
        if verb:
            found["mode"] = verb.upper()
            return {}
        return found

    def _tick(self) -> str:
        self.now += datetime.timedelta(seconds=1)
        return self.now.isoformat().replace("+00:00", "Z")


def _get(held: dict[str, dict[str, Any]], id_: str) -> dict[str, Any]:
    if id_ not in held:
        raise ApiError(404, f"{id_} is not found")
    return held[id_]


def _json(content: Any) -> Answer:
    return Answer(json.dumps(content).encode())
