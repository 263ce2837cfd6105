"""An Artifact Registry repository of format KFP, as far as kfp's registry client speaks to one."""

import contextlib
import email
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving

TAGS = re.compile(r"/packages/([^/]+)/tags(?:/([^/]+))?")


@dataclass
class RegistryStandIn:
    """One repository.

    Attributes:
        url: Where it listens.
        versions: By package, the uploaded files by version.
        tags: By package, the version of each tag.
        uploads: How many uploads were carried out.
    """

    url: str = ""
    faults: Faults = field(default_factory=Faults)
    versions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: int = 0

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["RegistryStandIn"]:
        """Starts it on a free port."""
        stand_in = cls()
        with serving(stand_in, stand_in.faults) as stand_in.url:
            yield stand_in

    def name(self, request: Request) -> str:
        """Upload, Tag or Download."""
        return "Upload" if request.path == "/" else "Tag" if TAGS.fullmatch(request.path) else "Download"

    def answer(self, request: Request) -> Answer:
        """Carries a request out."""
        if self.name(request) == "Upload":
            return self._upload(request)
        if tag := TAGS.fullmatch(request.path):
            return self._tag(request, tag[1], tag[2] or dict(request.query).get("tagId", ""))
        _, package, version = request.path.split("/")
        version = self.tags.get(package, {}).get(version, version)
        if version not in self.versions.get(package, {}):
            raise ApiError(404, f"{package}/{version} is not found")
        return Answer(self.versions[package][version], content_type="application/yaml")

    def _upload(self, request: Request) -> Answer:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(head + request.body).get_payload()
        files = [part for part in parts if part.get_filename()]  # type: ignore[union-attr]
        if len(files) != 1:
            raise ApiError(400, "one file is needed, under the name content")
        content = files[0].get_payload(decode=True)
        package, version = yaml.safe_load(content)["pipelineInfo"]["name"], hashlib.sha256(content).hexdigest()
        self.versions.setdefault(package, {})[f"sha256:{version}"] = content
        self.uploads += 1
        return Answer(f"{package}/sha256:{version}".encode(), content_type="text/plain")

    def _tag(self, request: Request, package: str, tag: str) -> Answer:
        tags = self.tags.setdefault(package, {})
        if request.verb == "POST" and tag in tags:
            raise ApiError(409, f"tag {tag} already exists")
        if request.verb in {"GET", "PATCH"} and tag not in tags:
            raise ApiError(404, f"tag {tag} is not found")
        if request.verb in {"POST", "PATCH"}:
            version = json.loads(request.body)["version"].rpartition("/")[2]
            if version not in self.versions.get(package, {}):
                raise ApiError(404, f"{package}/{version} is not found")
            tags[tag] = version
        answer = {"name": f"packages/{package}/tags/{tag}", "version": f"packages/{package}/versions/{tags[tag]}"}
        return Answer(json.dumps(answer).encode())
