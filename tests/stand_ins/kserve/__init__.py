"""A Kubernetes cluster with KServe on loopback, for the real client: API server, KServe's controller and its gateway.

    with KServeStandIn.running() as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        cluster.models["s3://bucket/loud"] = str.upper
        cluster.faults.add("PUT inferenceservices", "lost answer")

The API server has objects with `resourceVersion`, conflicts and watches. Each read lets the controller take one step,
so that a client sees every state in between, and no test waits. The gateway is at the same address, and finds an
endpoint by the Host header.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stand_ins.kserve.admission import check
from tests.stand_ins.kserve.controller import Controller
from tests.stand_ins.kserve.gateway import Gateway
from tests.stand_ins.kserve.objects import ApiError, Objects
from tests.stand_ins.server import Faults, on_loopback

Model = Callable[[str], str]
PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
KNOWN = {
    ("serving.kserve.io", "inferenceservices"),
    ("", "configmaps"),
    ("coordination.k8s.io", "leases"),
    ("apps", "deployments"),
    ("serving.knative.dev", "revisions"),
}


@dataclass
class KServeStandIn:
    """A cluster.

    Attributes:
        url: Its address, and that of the gateway.
        models: What the models do, by their addresses; the storage initializer fails for others.
        faults: What goes wrong, by verb and plural, such as "PUT leases".
        rules: What the caller may do, as (group, plural, verb); None for everything.
        used: What callers have done, likewise.
        token: The bearer token that callers must send; empty for none.
        before_write: Called once before the next write of a plural, as someone else who is faster.
    """

    url: str = ""
    models: dict[str, Model] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    rules: set[tuple[str, str, str]] | None = None
    used: set[tuple[str, str, str]] = field(default_factory=set)
    before_write: dict[str, Callable[[], None]] = field(default_factory=dict)
    objects: Objects = field(default_factory=Objects)
    serverless: bool = True
    token: str = ""

    def __post_init__(self) -> None:
        self.controller = Controller(self.objects, self.models)
        self.gateway = Gateway(self.objects, self.controller)
        self.lock = threading.RLock()

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["KServeStandIn"]:
        """Serves on a free port of loopback."""
        cluster = cls()
        with on_loopback(cluster._handler()) as address:
            cluster.url = f"http://{address}"
            try:
                yield cluster
            finally:
                cluster.controller.stop()

    def kubeconfig(self, folder: Path) -> Path:
        """Writes a kubeconfig file."""
        path = folder / "kubeconfig.json"
        user = {"token": self.token} if self.token else {}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": user}],
                }
            )
        )
        return path

    def service(self, name: str = "demo", namespace: str = "ns") -> dict[str, Any]:
        """An InferenceService, when the controller has nothing left to do."""
        while self.controller.step():
            pass
        found: dict[str, Any] = self.objects.get("inferenceservices", namespace, name)
        return found

    def record(self, name: str = "demo", namespace: str = "ns") -> dict[str, Any]:
        """The record of an endpoint."""
        found = self.objects.get("configmaps", namespace, f"{name}-seqline")
        return dict(json.loads(found["data"]["endpoint.json"]))

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, Any]]:
        """Carries a request to the API server out."""
        found = PATH.fullmatch(path)
        group = (found["group"] or "") if found else ""
        if (
            not found
            or (group, found["plural"]) not in KNOWN
            or (group == "serving.knative.dev" and not self.serverless)
        ):
            # An API that is not installed: apiserver/pkg/server/handler.go answers in plain text.
            raise ApiError(404, "404 page not found", plain=True)
        plural, namespace, name = found["plural"], found["namespace"], found["name"]
        reads = {"GET": "watch" if "watch" in query else "get" if name else "list"}
        action = {**reads, "POST": "create", "PUT": "update", "DELETE": "delete"}[verb]
        self.used.add((group, plural, action))
        if self.rules is not None and (group, plural, action) not in self.rules:
            raise ApiError(
                403, f'{plural}.{group} is forbidden: User "system:serviceaccount:ns:run" cannot {action} it'
            )
        if verb == "GET" and name:
            # kubernetes.io/docs/reference/using-api/api-concepts/#get-and-list; the controller works meanwhile.
            current = json.loads(json.dumps(self.objects.get(plural, namespace, name)))
            self.controller.step()
            return 200, current
        if verb == "GET" and action == "list":
            return 200, {"items": self.objects.list(plural, namespace, query.get("labelSelector", [""])[0])}
        if verb == "GET":
            moved = self.controller.step()
            return 200, {"type": "MODIFIED" if moved else "BOOKMARK", "object": {}}
        if hook := self.before_write.pop(plural, None):
            hook()
        if verb == "DELETE":
            removed = self.objects.delete(plural, namespace, name)
            self.controller.deleted(removed)
            return 200, {"kind": "Status", "status": "Success"}
        made = json.loads(body)
        if plural == "inferenceservices":
            made = check(made, self.objects.find(plural, namespace, made["metadata"]["name"]))
        return (
            (201, self.objects.create(plural, namespace, made))
            if verb == "POST"
            else (
                200,
                self.objects.replace(plural, namespace, name, made),
            )
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                host = self.headers.get("Host", "")
                parts = urlsplit(self.path)
                if host.endswith(".example.com"):
                    with cluster.lock:
                        pod = cluster.gateway.choose(host)
                    self.reply(*cluster.gateway.ask(pod, parts.path, body))
                    return
                status, answer, plain = 500, {}, ""
                with cluster.lock:
                    plural = (PATH.fullmatch(parts.path) or {"plural": ""})["plural"]
                    fault = cluster.faults.take(f"{self.command} {plural}")
                    try:
                        if cluster.token and self.headers.get("Authorization") != f"Bearer {cluster.token}":
                            raise ApiError(401, "Unauthorized")
                        if fault == "503":
                            raise ApiError(503, "the server is currently unable to handle the request")
                        if fault != "lost request":
                            status, answer = cluster.answer(self.command, parts.path, parse_qs(parts.query), body)
                    except ApiError as error:
                        status, answer, plain = error.code, error.body(), error.message if error.plain else ""
                if fault in ("lost answer", "lost request"):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.reply(status, {}, plain.encode() if plain else json.dumps(answer).encode())

            def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 (the names that http.server calls)

            def log_message(self, *_: object) -> None: ...

        return Handler
