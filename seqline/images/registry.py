"""Copies images between registries by digest, so that the copy is the very image; no engine is needed.

The protocol is https://github.com/opencontainers/distribution-spec/blob/main/spec.md, the tokens are those of
https://distribution.github.io/distribution/spec/auth/token/.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from seqline.errors import UserError

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
PINNED = re.compile(r"^(?P<host>[^/]+)/(?P<name>[a-z0-9._/-]+)@(?P<digest>sha256:[0-9a-f]{64})$")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
TIMEOUT = 300.0
LOOPBACK = re.compile(r"^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$")


@dataclass
class Registries:
    """Reads from and writes to registries as one caller.

    Attributes:
        token: An access token of Google Cloud; empty for none.
        session: Of requests.
        tokens: The registry's own tokens, by host, repository and actions.
    """

    token: str = ""
    session: Any = None
    tokens: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.session is None:
            import requests

            self.session = requests.Session()

    def copy(self, source: str, target: str) -> bool:
        """Copies an image with everything that it consists of; what is there already is not sent again.

        Args:
            source: Its address, with a digest.
            target: The new address, with the same digest.

        Returns:
            Whether it was copied; False if it was there.

        Raises:
            UserError: If an address has no digest, or a registry refuses.
        """
        here, there = _Place.of(source), _Place.of(target)
        if self._request("HEAD", there, f"manifests/{there.digest}", missing=True).status_code == 200:
            return False
        self._copy_manifest(here, there, here.digest)
        return True

    def _copy_manifest(self, here: "_Place", there: "_Place", digest: str) -> None:
        answer = self._request("GET", here, f"manifests/{digest}", headers={"Accept": ", ".join(MANIFESTS)})
        content: bytes = answer.content
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise UserError(f"{here.host}/{here.name}@{digest} has another content than its digest says")
        manifest = json.loads(content)
        # The parts first: a registry refuses a manifest of parts that it does not have.
        for part in manifest.get("manifests", []):
            self._copy_manifest(here, there, part["digest"])
        blobs = [manifest["config"]] if "config" in manifest else []
        for blob in [*blobs, *(layer for layer in manifest.get("layers", []) if not layer.get("urls"))]:
            self._copy_blob(here, there, blob["digest"], int(blob["size"]))
        kind = manifest.get("mediaType") or answer.headers["Content-Type"].partition(";")[0]
        self._request("PUT", there, f"manifests/{digest}", data=content, headers={"Content-Type": kind})

    def _copy_blob(self, here: "_Place", there: "_Place", digest: str, size: int) -> None:
        if self._request("HEAD", there, f"blobs/{digest}", missing=True).status_code == 200:
            return
        params = {"mount": digest, "from": here.name} if here.host == there.host else {}
        started = self._request("POST", there, "blobs/uploads/", params=params, headers={"Content-Length": "0"})
        if started.status_code == 201:
            return
        with self._request("GET", here, f"blobs/{digest}", stream=True) as read:
            place = urljoin(started.url, started.headers["Location"])
            headers = {"Content-Type": "application/octet-stream"}
            self._request("PUT", there, place, params={"digest": digest}, data=_Sized(read.raw, size), headers=headers)

    def _request(self, verb: str, place: "_Place", path: str, missing: bool = False, **content: Any) -> Any:
        """Sends a request; a registry says itself which token it wants."""
        import requests

        url = path if "://" in path else f"{place.url}/{path}"
        actions = "pull" if verb in {"GET", "HEAD"} else "pull,push"
        key = (place.host, place.name, actions)
        headers = dict(content.pop("headers", {}))
        for _ in range(2):
            if key in self.tokens:
                headers["Authorization"] = f"Bearer {self.tokens[key]}"
            try:
                answer = self.session.request(verb, url, headers=headers, timeout=TIMEOUT, **content)
            except requests.RequestException as error:
                raise UserError(f"{place.host} does not respond: {type(error).__name__}; run this again") from None
            if answer.status_code != 401 or key in self.tokens:
                break
            self.tokens[key] = self._token(place, answer.headers.get("WWW-Authenticate", ""), actions)
        if answer.status_code < 400 or (missing and answer.status_code == 404):
            return answer
        raise UserError(f"{place.host}/{place.name}: {_reason(answer, actions)}")

    def _token(self, place: "_Place", challenge: str, actions: str) -> str:
        asked = dict(CHALLENGE.findall(challenge))
        realm = asked.get("realm", "")
        # The credentials go to the registry's own host only.
        if not challenge.lower().startswith("bearer ") or not realm.startswith(place.origin + "/"):
            raise UserError(f"{place.host} requires a kind of credentials that is not supported")
        params = {"service": asked.get("service", ""), "scope": f"repository:{place.name}:{actions}"}
        # https://cloud.google.com/artifact-registry/docs/docker/authentication#token
        auth = ("oauth2accesstoken", self.token) if self.token else None
        answer = self.session.get(realm, params=params, auth=auth, timeout=TIMEOUT)
        if answer.status_code >= 400:
            raise UserError(f"{place.host}/{place.name}: {_reason(answer, actions)}")
        found = answer.json()
        return str(found.get("token") or found["access_token"])


@dataclass(frozen=True)
class _Place:
    """An image in a registry."""

    host: str
    name: str
    digest: str

    @classmethod
    def of(cls, address: str) -> "_Place":
        match = PINNED.match(address)
        if not match:
            raise UserError(f"{address} has no digest; only an image with a digest is the same everywhere")
        return cls(**match.groupdict())

    @property
    def origin(self) -> str:
        return f"{'http' if LOOPBACK.match(self.host) else 'https'}://{self.host}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v2/{self.name}"


class _Sized:
    """A stream whose length is known, so that it is sent as one body and not in chunks."""

    def __init__(self, stream: Any, size: int) -> None:
        self.stream, self.size = stream, size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(1 << 20), b"")

    def read(self, size: int = -1) -> bytes:
        return bytes(self.stream.read(None if size < 0 else size))


def _reason(answer: Any, actions: str) -> str:
    """Why a registry refuses."""
    try:
        errors: list[Mapping[str, Any]] = answer.json()["errors"]
        text = "; ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, KeyError, TypeError):
        text = answer.reason
    role = "roles/artifactregistry.writer" if "push" in actions else "roles/artifactregistry.reader"
    hint = f"; the caller needs the role {role} on the repository" if answer.status_code in {401, 403} else ""
    return f"{answer.status_code} {text}{hint}"
