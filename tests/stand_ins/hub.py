"""The Hugging Face Hub on loopback, as far as downloads of models need it.

Its rules are those that the client expects: huggingface_hub 2.4, hf_api.py (`model_info`, the keys of a sibling),
file_download.py (`get_hf_file_metadata`: the headers of a file; `http_get`: ranges) and utils/_http.py
(`hf_raise_for_status`: the code of each error in X-Error-Code); and https://huggingface.co/docs/hub/models-gated.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.stand_ins.server import on_loopback

LARGE = (".safetensors", ".bin", ".spm", ".model")
"""Files that are stored with Git LFS, as a repository's .gitattributes says."""


@dataclass
class Repository:
    """A model's repository.

    Attributes:
        branches: The commit of each branch, tag or other reference.
        commits: The files of each commit.
        gated: Whether its files need a token whose account has accepted the licence.
        private: Whether nobody without a token sees it.
    """

    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Adds a commit, and moves a branch to it."""
        content = json.dumps({name: hashlib.sha256(one).hexdigest() for name, one in sorted(files.items())})
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.commits[commit], self.branches[branch] = files, commit
        return commit


@dataclass
class Hub:
    """The Hub.

    Attributes:
        endpoint: Its address, for HF_ENDPOINT.
        repositories: By ORG/NAME.
        token: The one token that it accepts; its account has accepted all licences.
        requests: Verb and path of each request, with the range that it asks for.
        cut: Names of files whose next answer ends early.
    """

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str = "hf_valid"
    requests: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)

    @property
    def downloaded(self) -> list[str]:
        """Names of the files whose content was sent."""
        return [path.rpartition("/")[2].split(" ")[0] for path in self.requests if path.startswith("GET /cdn/")]

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["Hub"]:
        """Starts it on a free port."""
        hub = cls()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                hub.requests.append(f"{self.command} {self.path}{f' {asked}' if asked else ''}")
                parts = urlsplit(self.path)
                hub.handle(self, unquote(parts.path), parse_qs(parts.query))

            do_HEAD = do_GET  # noqa: N815

            def answer(self, code: int, body: bytes = b"", cut: bool = False, **headers: str) -> None:
                self.send_response(code)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = self.close_connection or cut

            def log_message(self, *_: object) -> None: ...

        with on_loopback(Handler) as address:
            hub.endpoint = f"http://{address}"
            yield hub

    def handle(self, http: Any, path: str, query: dict[str, list[str]]) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            found = self._commit(http, match[1], match[2] or "main")
            return None if found is None else self._info(http, match[1], *found, blobs="blobs" in query)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            found = self._commit(http, match[1], match[2])
            return None if found is None else self._resolve(http, match[1], *found, match[3])
        if match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path):
            # A signed address of another host: the client must not send its token there.
            return self._content(http, self.repositories[match[1]].commits[match[2]][match[3]], match[3])
        return http.answer(404)

    def _commit(self, http: Any, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self.repositories.get(name)
        given = http.headers.get("Authorization", "")
        if given and given != f"Bearer {self.token}":
            return http.answer(401, X_Error_Message="Invalid credentials in Authorization header")
        if repository is None or (repository.private and not given):
            # Without a token, nobody learns whether a repository exists.
            return http.answer(404 if given else 401, X_Error_Code="RepoNotFound")
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return http.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    def _info(self, http: Any, name: str, commit: str, files: dict[str, bytes], blobs: bool) -> None:
        siblings = []
        for file, content in sorted(files.items()):
            one: dict[str, Any] = {"rfilename": file}
            if blobs:
                one |= {"size": len(content), "blobId": blob_id(content)}
                if file.endswith(LARGE):
                    digest = hashlib.sha256(content).hexdigest()
                    one["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(one)
        body = {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": [], "private": False}
        http.answer(200, json.dumps(body).encode(), Content_Type="application/json")

    def _resolve(self, http: Any, name: str, commit: str, files: dict[str, bytes], file: str) -> None:
        # The page of a gated model is public; its files are not.
        if self.repositories[name].gated and "Authorization" not in http.headers:
            return http.answer(401, X_Error_Code="GatedRepo", X_Error_Message="Access to this model is restricted.")
        if file not in files:
            return http.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        content = files[file]
        headers = {"X-Repo-Commit": commit, "Location": f"/cdn/{name}/{commit}/{file}"}
        if file.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{digest}"'}
            # Another host, which has no token of the Hub.
            headers["Location"] = f"{self.endpoint.replace('127.0.0.1', 'localhost')}{headers['Location']}"
            return http.answer(302, **headers)
        # A relative redirect, which the client follows before it reads the headers.
        if http.command == "HEAD":
            return http.answer(200, content, X_Repo_Commit=commit, ETag=f'"{blob_id(content)}"')
        return http.answer(307, Location=headers["Location"])

    def _content(self, http: Any, content: bytes, file: str) -> None:
        if "localhost" in http.headers["Host"] and "Authorization" in http.headers:
            return http.answer(400)
        cut, match = file in self.cut, re.fullmatch(r"bytes=(\d+)-", http.headers.get("Range", ""))
        self.cut.discard(file)
        if match is None:
            return http.answer(200, content, cut=cut)
        first = int(match[1])
        headers = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        return http.answer(206, content[first:], cut=cut, **headers)


def blob_id(content: bytes) -> str:
    """The id that Git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
