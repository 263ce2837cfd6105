"""How this machine logs in to a KFP server: ways that are tried in their order, and what each is refused with.

The ways are those of https://www.kubeflow.org/docs/components/pipelines/user-guides/core-functions/connect-api/ and,
for the Identity-Aware Proxy, https://cloud.google.com/iap/docs/authentication-howto.
"""

import base64
import binascii
import datetime
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from seqline.configuration.kubeflow import KubeflowTarget
from seqline.documentation import page
from seqline.errors import UnreachableError, UserError
from seqline.paths import expanded

POD_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 (a path)
POD_TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 (a name)
"""Where a pod has the token of its service account for KFP, and the variable with another path: those of kfp's client
(sdk/python/kfp/client/__init__.py of kubeflow/pipelines)."""
AUDIENCE = "pipelines.kubeflow.org"
"""The audience that the server wants (DefaultTokenReviewAudience in backend/src/apiserver/common/const.go)."""
FIELD = "targets.kubeflow.login"
MARKS = {"/dex/": ".dex", "accounts.google.com": ".iap_client_id", "a login page": ".dex or .cookie_file"}
"""What to set, by what a server says that requires a login."""


class LoginError(UserError):
    """One way to log in cannot be used; the message says why."""


@dataclass(frozen=True)
class Credentials:
    """What a request carries.

    Attributes:
        token: Bearer token; empty for none.
        cookie: Cookies, as NAME=VALUE; NAME=VALUE; empty for none.
    """

    token: str = ""
    cookie: str = ""


class Way(Protocol):
    """One way to log in.

    Attributes:
        name: What it is, for messages.
    """

    name: str

    def credentials(self) -> Credentials:
        """Returns what to send now.

        Raises:
            LoginError: If there is nothing.
        """
        ...

    def accepted(self) -> None:
        """Notes that the server accepted the last credentials."""
        ...

    def renew(self) -> bool:
        """Forgets what the server refused; whether another attempt may succeed."""
        ...

    def hint(self, credentials: Credentials) -> str:
        """Returns what may be wrong with credentials that the server refused; empty if nothing is known."""
        ...


@dataclass
class FileWay:
    """A file with a token or with cookies, which is read again when it changes: others rotate it.

    Attributes:
        name: What it is, for messages.
        path: The file.
        cookies: Whether it has cookies.
        audience: The audience that its token must have; empty for any.
    """

    name: str
    path: Path
    cookies: bool = False
    audience: str = ""
    _read: tuple[tuple[int, ...], str] | None = field(default=None, init=False)

    def credentials(self) -> Credentials:
        """Returns the file's content now."""
        try:
            stat = self.path.stat()
            # Kubernetes replaces a link above the file, so the time alone may stay the same.
            version = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if self._read is None or self._read[0] != version:
                self._read = version, self.path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise LoginError(f"there is no file {self.path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise LoginError(f"{self.path} cannot be read ({error})") from None
        text = self._read[1]
        if not text:
            raise LoginError(f"{self.path} is empty")
        if not self.cookies and (" " in text or "\n" in text):
            raise LoginError(f"{self.path} has several words, but a token is one; write only the token")
        if self.cookies and ("=" not in text or "\n" in text):
            raise LoginError(f"{self.path} has no cookies: write one line, NAME=VALUE; NAME=VALUE")
        return Credentials(cookie=text) if self.cookies else Credentials(token=text)

    def accepted(self) -> None:
        """Needs no note."""

    def renew(self) -> bool:
        """Reads the file again; whether its content has changed."""
        before = self._read
        self._read = None
        try:
            self.credentials()
        except LoginError:
            return False
        return before is not None and self._read is not None and self._read[1] != before[1]

    def hint(self, credentials: Credentials) -> str:
        """Returns what the token itself says."""
        if self.cookies:
            return "the session may have ended; log in with a browser and copy its cookies again"
        return _said(credentials.token, self.audience)


@dataclass
class IapWay:
    """A service account in front of the Identity-Aware Proxy: a token of Google with the proxy's client ID as audience.

    Attributes:
        client_id: The OAuth client ID of the proxy.
        name: What it is, for messages.
    """

    client_id: str
    name: str = "iap_client_id"
    _held: Any = field(default=None, init=False)

    def credentials(self) -> Credentials:
        """Returns the token, renewed shortly before it expires."""
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token_credentials

        try:
            request = Request()
            if self._held is None:
                self._held = fetch_id_token_credentials(self.client_id, request)
            if not self._held.valid:
                self._held.refresh(request)
        except (GoogleAuthError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            raise LoginError(
                f"no token of a service account ({reason}); set GOOGLE_APPLICATION_CREDENTIALS to the key of a service "
                "account with the role IAP-secured Web App User, or run on a Google Cloud machine that has one"
            ) from None
        return Credentials(token=str(self._held.token))

    def accepted(self) -> None:
        """Needs no note."""

    def renew(self) -> bool:
        """Never: the token is renewed by its time."""
        return False

    def hint(self, credentials: Credentials) -> str:
        """Returns which account it was, and what it may lack."""
        account = _claims(credentials.token).get("email", "the service account")
        return f"{account} needs the role IAP-secured Web App User, and {self.client_id} must be the proxy's client ID"


@dataclass
class Refusal:
    """Why one way failed.

    Attributes:
        way: Its name.
        reason: The reason.
    """

    way: str
    reason: str


class Login:
    """The ways that the configuration sets, of which the first that the server accepts is used.

    Args:
        settings: The configuration's `targets.kubeflow`.
        environment: Environment variables.
    """

    def __init__(self, settings: KubeflowTarget, environment: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self.ways = _ways(settings, environment)
        self.refusals: list[Refusal] = []
        self.skipped: list[Refusal] = []
        self._add_pod(environment)
        self._current: tuple[Way, Credentials] | None = None

    @property
    def used(self) -> str:
        """The way that was used last; empty for none."""
        return self._current[0].name if self._current else ""

    def credentials(self) -> Credentials:
        """Returns what to send with the next request: of the first way that has not failed.

        Raises:
            UnreachableError: If ways are set and all have failed.
            UserError: If the address is not safe for credentials.
        """
        while self.ways:
            way = self.ways[0]
            try:
                require_safe(self.settings)
                found = way.credentials()
            except LoginError as error:
                self._drop(str(error))
                continue
            self._current = way, found
            return found
        self._current = None
        if self.refusals:
            raise UnreachableError(self.explained())
        return Credentials()

    def accepted(self) -> None:
        """Notes that the server accepted the last credentials."""
        if self._current is not None:
            self._current[0].accepted()

    def refused(self, answer: str) -> bool:
        """Notes that the server refused the last credentials; whether there are others to try.

        Args:
            answer: What the server said.
        """
        if self._current is None:
            return False
        way, sent = self._current
        if way.renew():
            return True
        hint = way.hint(sent)
        self._drop(f"{answer}; {hint}" if hint else answer)
        return bool(self.ways)

    def explained(self, answer: str = "") -> str:
        """Returns which ways were tried, and why each failed; or what to set, if none was.

        Args:
            answer: What the server said to a request without credentials.
        """
        failed = [*self.refusals, *self.skipped]
        if not failed:
            wants = next((key for mark, key in MARKS.items() if mark in answer), ".token_file, .dex or .iap_client_id")
            said = f" ({answer})" if answer else ""
            advice = f"set {FIELD}{wants}; see {page('kubeflow.md', 'Login')}"
            return f"{self.settings.host} requires a login{said}, and none is set; {advice}"
        tried = "; ".join(f"{number}. {one.way}: {one.reason}" for number, one in enumerate(failed, start=1))
        return f"cannot log in to {self.settings.host}; tried {tried}"

    def _add_pod(self, environment: Mapping[str, str]) -> None:
        """Adds the pod's own token, which nobody asked for: where it cannot be sent safely, it is left out."""
        named = environment.get(POD_TOKEN_VARIABLE, "")
        if self.settings.login.service_account == "never" or not (named or Path(POD_TOKEN).is_file()):
            return
        way = FileWay("service account of the pod", Path(named or POD_TOKEN), audience=AUDIENCE)
        try:
            require_safe(self.settings)
        except UserError as error:
            self.skipped.append(Refusal(way.name, str(error)))
        else:
            self.ways.append(way)

    def _drop(self, reason: str) -> None:
        self.refusals.append(Refusal(self.ways.pop(0).name, reason))
        self._current = None


def _ways(settings: KubeflowTarget, environment: Mapping[str, str]) -> list[Way]:
    from seqline.targets.kubeflow.dex import DexWay

    login = settings.login
    ways: list[Way] = []
    if login.token_file:
        ways.append(FileWay("token_file", expanded(login.token_file)))
    if login.cookie_file:
        ways.append(FileWay("cookie_file", expanded(login.cookie_file), cookies=True))
    if login.dex is not None:
        ways.append(DexWay(settings, login.dex, environment))
    if login.iap_client_id:
        ways.append(IapWay(login.iap_client_id))
    return ways


def require_safe(settings: KubeflowTarget, address: str = "") -> None:
    """Refuses an address to which credentials would travel unencrypted.

    Args:
        settings: The configuration's `targets.kubeflow`.
        address: The address; the server's by default.

    Raises:
        UserError: If it is neither HTTPS, nor this machine, nor a service of the cluster that is allowed.
    """
    address = address or settings.host
    parts = urlsplit(address)
    name = (parts.hostname or "").rstrip(".")
    if parts.scheme == "https" or _is_loopback(name):
        return
    if name.endswith((".svc", ".svc.cluster.local")):
        if settings.login.plain_http_in_cluster:
            return
        raise UserError(
            f"{FIELD}: credentials are not sent to {address} over plain HTTP; write https://, or set "
            f"{FIELD}.plain_http_in_cluster to true if the cluster's network is trusted"
        )
    raise UserError(
        f"{FIELD}: credentials are not sent to {address} over plain HTTP, where others can read them; write https://, "
        "or run `kubectl port-forward` and write http://localhost:PORT"
    )


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _claims(token: str) -> dict[str, Any]:
    """What a token says about itself, unverified; nothing if it is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _said(token: str, audience: str) -> str:
    """What is wrong with a token by its own words."""
    claims = _claims(token)
    found = []
    expires = claims.get("exp")
    if isinstance(expires, int | float):
        moment = datetime.datetime.fromtimestamp(expires, datetime.timezone.utc)
        if moment < datetime.datetime.now(datetime.timezone.utc):
            found.append(f"the token expired at {moment:%Y-%m-%d %H:%M} UTC")
    given = claims.get("aud", [])
    audiences = [given] if isinstance(given, str) else list(given) if isinstance(given, list) else []
    if audience and claims and audience not in audiences:
        found.append(f"its audience is {', '.join(map(str, audiences)) or 'empty'}, but KFP requires {audience}")
    return "; ".join(found)
