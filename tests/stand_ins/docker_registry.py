"""A registry of images on loopback, with the rules of the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md; the tokens are those of
https://distribution.github.io/distribution/spec/auth/token/.
"""

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stand_ins.server import on_loopback

NAME = r"/v2/(?P<name>[a-z0-9._/-]+)"
ACCEPTED = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class DockerRegistry:
    """One registry.

    Attributes:
        host: Its host and port.
        blobs: By repository, content by digest.
        manifests: By repository, content and type by digest.
        user: Basic credentials that get a token; empty for a registry that asks for none.
        writable: Whether a token may push.
        mounts: Whether it mounts blobs of its other repositories.
        damaged: Whether it answers with another content.
        requests: Verb and path of each request.
    """

    host: str = ""
    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, tuple[bytes, str]]] = field(default_factory=dict)
    user: str = ""
    writable: bool = True
    mounts: bool = True
    damaged: bool = False
    requests: list[str] = field(default_factory=list)

    def put_image(self, name: str, *layers: bytes, platforms: int = 1) -> str:
        """Stores an image; its address with a digest. With several platforms it is an index."""
        manifests = []
        for number in range(platforms):
            config = json.dumps({"platform": number}).encode()
            parts = [self._blob(name, one) for one in (config, *layers)]
            kind = "application/vnd.oci.image.manifest.v1+json"
            content = {"schemaVersion": 2, "mediaType": kind, "config": parts[0], "layers": parts[1:]}
            manifests.append(self._manifest(name, content, kind))
        if platforms == 1:
            return f"{self.host}/{name}@{manifests[0]['digest']}"
        kind = "application/vnd.oci.image.index.v1+json"
        index = self._manifest(name, {"schemaVersion": 2, "mediaType": kind, "manifests": manifests}, kind)
        return f"{self.host}/{name}@{index['digest']}"

    def _blob(self, name: str, content: bytes) -> dict[str, Any]:
        self.blobs.setdefault(name, {})[digest_of(content)] = content
        return {"mediaType": "application/octet-stream", "digest": digest_of(content), "size": len(content)}

    def _manifest(self, name: str, content: Any, kind: str) -> dict[str, Any]:
        raw = json.dumps(content, indent=3).encode()
        self.manifests.setdefault(name, {})[digest_of(raw)] = (raw, kind)
        return {"mediaType": kind, "digest": digest_of(raw), "size": len(raw)}

    @classmethod
    @contextlib.contextmanager
    def running(cls, **values: Any) -> Iterator["DockerRegistry"]:
        """Starts it on a free port."""
        registry = cls(**values)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                size = self.headers.get("Content-Length")
                if "Transfer-Encoding" in self.headers:
                    self.answer(411, error="UNSUPPORTED")
                    self.close_connection = True
                    return
                body = self.rfile.read(int(size or 0))
                registry.requests.append(f"{self.command} {self.path}")
                registry.handle(self, urlsplit(self.path).path, parse_qs(urlsplit(self.path).query), body)

            def answer(self, code: int, body: bytes = b"", error: str = "", **headers: str) -> None:
                if error:
                    body = json.dumps(
                        {"errors": [{"code": error, "message": error.lower().replace("_", " ")}]}
                    ).encode()
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        with on_loopback(Handler) as registry.host:
            yield registry

    def handle(self, http: Any, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if path == "/token":
            return self._token(http, query)
        if self.user and not self._allowed(http, path):
            return None
        if match := re.fullmatch(NAME + r"/manifests/(?P<digest>sha256:[0-9a-f]{64})", path):
            return self._manifests(http, match["name"], match["digest"], body)
        if match := re.fullmatch(NAME + r"/blobs/(?P<digest>sha256:[0-9a-f]{64})", path):
            found = self.blobs.get(match["name"], {}).get(match["digest"])
            return http.answer(404, error="BLOB_UNKNOWN") if found is None else http.answer(200, found)
        if match := re.fullmatch(NAME + r"/blobs/uploads/(?P<session>\w*)", path):
            return self._upload(http, match["name"], match["session"], query, body)
        return http.answer(404, error="NAME_UNKNOWN")

    def _token(self, http: Any, query: dict[str, list[str]]) -> None:
        given = base64.b64decode(http.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        if given != self.user or query["service"] != [self.host]:
            return http.answer(401, error="UNAUTHORIZED")
        return http.answer(200, json.dumps({"token": query["scope"][0]}).encode())

    def _allowed(self, http: Any, path: str) -> bool:
        """Whether the token's scope has this repository and this action."""
        name = re.match(NAME + r"/(manifests|blobs)/", path)["name"]  # type: ignore[index]
        scope = http.headers.get("Authorization", "").removeprefix("Bearer ")
        action = "pull" if http.command in ("GET", "HEAD") else "push"
        _, _, rest = scope.partition(f"repository:{name}:")
        if scope and action in rest.split(",") and (action == "pull" or self.writable):
            return True
        if scope and action in rest.split(","):
            http.answer(403, error="DENIED")
        else:
            realm = f'Bearer realm="http://{self.host}/token",service="{self.host}"'
            http.answer(401, error="UNAUTHORIZED", WWW_Authenticate=realm)
        return False

    def _manifests(self, http: Any, name: str, digest: str, body: bytes) -> None:
        if http.command == "PUT":
            content = json.loads(body)
            parts = [*content.get("layers", []), *([content["config"]] if "config" in content else [])]
            # "If one or more blobs or manifests are unknown to the registry": MANIFEST_BLOB_UNKNOWN, code-1.
            if any(part["digest"] not in self.blobs.get(name, {}) for part in parts):
                return http.answer(404, error="MANIFEST_BLOB_UNKNOWN")
            if any(one["digest"] not in self.manifests.get(name, {}) for one in content.get("manifests", [])):
                return http.answer(404, error="MANIFEST_UNKNOWN")
            if digest_of(body) != digest or http.headers["Content-Type"] != content["mediaType"]:
                return http.answer(400, error="MANIFEST_INVALID")
            self.manifests.setdefault(name, {})[digest] = (body, http.headers["Content-Type"])
            return http.answer(201, Docker_Content_Digest=digest)
        found = self.manifests.get(name, {}).get(digest)
        # Without the type among those that are accepted, a registry has no such manifest.
        accepted = [one.strip() for one in http.headers.get("Accept", "").split(",")]
        if found is None or (http.command == "GET" and found[1] not in accepted):
            return http.answer(404, error="MANIFEST_UNKNOWN")
        content = found[0] + b" " if self.damaged else found[0]
        return http.answer(200, content, Content_Type=found[1])

    def _upload(self, http: Any, name: str, session: str, query: dict[str, list[str]], body: bytes) -> None:
        if http.command == "POST":
            source, digest = query.get("from", [""])[0], query.get("mount", [""])[0]
            if self.mounts and digest and digest in self.blobs.get(source, {}):
                self.blobs.setdefault(name, {})[digest] = self.blobs[source][digest]
                return http.answer(201, Location=f"/v2/{name}/blobs/{digest}")
            return http.answer(202, Location=f"/v2/{name}/blobs/uploads/session1?state=x")
        if digest_of(body) != query["digest"][0] or query.get("state") != ["x"] or not session:
            return http.answer(400, error="DIGEST_INVALID")
        self.blobs.setdefault(name, {})[digest_of(body)] = body
        return http.answer(201, Location=f"/v2/{name}/blobs/{digest_of(body)}")
