"""The connection to a KFP server: its client, login, error messages for users, retries."""

import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from seqline.configuration.kubeflow import KubeflowTarget
from seqline.errors import UnreachableError, UserError
from seqline.inputs.kfp_launcher import NAMESPACE as POD_NAMESPACE
from seqline.paths import expanded
from seqline.targets.kubeflow.login import Login
from seqline.targets.kubeflow.versions import Server, server_api
from seqline.vertex_api.first_contact import first_contact, reason_of
from seqline.vertex_api.retries import Retries

T = TypeVar("T")
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
BRIEF = (0.5,)
"""Pauses of a check, which a person waits for."""
CONNECT_SECONDS, READ_SECONDS = 10.0, 120.0
UNAVAILABLE = {429, 502, 503, 504}
ADDRESS = "write the API's address as targets.kubeflow.host, usually https://KUBEFLOW/pipeline"
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
REDIRECTS = {301, 302, 303, 307, 308}
"""Where a pod has its namespace: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod."""


class _LoginRefusedError(Exception):
    """The server does not accept the credentials; the message is its answer."""


@dataclass
class Connection:
    """One server.

    Attributes:
        settings: The configuration's `targets.kubeflow`.
        sleep: Waits some seconds.
        pauses: Seconds before each further attempt.
    """

    settings: KubeflowTarget
    sleep: Callable[[float], None] = time.sleep
    pauses: tuple[float, ...] = PAUSES

    @cached_property
    def client(self) -> Any:
        """The client of kfp, created when it is first used."""
        from kfp.client import Client
        from urllib3 import Retry

        authority = self.settings.ca_file and expanded(self.settings.ca_file)
        if authority and not authority.is_file():
            raise UserError(f"targets.kubeflow.ca_file: there is no file {authority}")

        class QuietClient(Client):  # type: ignore[misc, unused-ignore]
            def get_kfp_healthz(self, *_: Any, **__: Any) -> Any:
                # The constructor asks for it five times with pauses, and logs each failure; `server` asks once.
                return SimpleNamespace(multi_user=False)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A token given here keeps the client from logging in by itself, as variables of the environment may ask it
            # to; each call sets the real one.
            client = QuietClient(
                host=self.settings.host.rstrip("/"),
                namespace=self.settings.namespace,
                existing_token="unset",  # noqa: S106
                ssl_ca_cert=str(authority) if authority else None,
            )
        pool = client._run_api.api_client.rest_client.pool_manager.connection_pool_kw
        # A redirect leads to a login page, which is not an answer.
        # Where nobody answers, `Retries` tries again.
        pool["retries"] = Retry(3, connect=0, redirect=0, raise_on_redirect=False)
        _limit(client._run_api.api_client.rest_client)
        return client

    @cached_property
    def login(self) -> Login:
        """How this machine logs in."""
        return Login(self.settings)

    @cached_property
    def server(self) -> Server:
        """What the server says about itself."""

        def ask(client: Any) -> str:
            answer, _, _ = client._run_api.api_client.call_api(
                "/apis/v2beta1/healthz", "GET", header_params={"Accept": "application/json"},
                auth_settings=["Bearer"], response_type="object", _return_http_data_only=False,
            )  # fmt: skip
            return json.dumps(answer)

        return Server.read(self.read("ask for its version", ask))

    @cached_property
    def namespace(self) -> str:
        """The namespace of runs and pipelines: the configuration's, or in a pod its own.

        Raises:
            UserError: If the server has several users and no namespace is set.
        """
        if "namespace" in self.settings.model_fields_set or not self.server.multi_user:
            return self.settings.namespace
        if POD_NAMESPACE.is_file():
            return POD_NAMESPACE.read_text(encoding="utf-8").strip()
        raise UserError(
            f"{self.settings.host} has several users: set targets.kubeflow.namespace to the namespace of your profile"
        )

    def read(self, what: str, call: Callable[[Any], T]) -> T:
        """Calls something that may be done twice, and retries while the server is unavailable.

        Args:
            what: For the error, such as "list the runs".
            call: Takes the client.

        Raises:
            UserError: If the request is rejected.
            UnreachableError: If there is no response, or this caller has no permission.
        """
        return self._retries.read(what, lambda: self._call(call))

    def once(self, call: Callable[[Any], T]) -> T:
        """Calls something that is not worth a second attempt.

        Args:
            call: Takes the client.

        Raises:
            ApiException: Of kfp's client, as it is.
        """
        return self._call(call)

    def write(self, what: str, look: Callable[[Any], T | None], call: Callable[[Any], T]) -> T:
        """Creates something once, even when the response is lost: it is looked up before every attempt.

        Args:
            what: For the error.
            look: Returns the resource if it exists.
            call: Creates it.
        """
        return self._retries.write(what, lambda: self._call(look), lambda: self._call(call))

    @property
    def _retries(self) -> Retries:
        return Retries(self.pauses, self.explained, _transient, sleep=self.sleep)

    def _call(self, call: Callable[[Any], T]) -> T:
        """Calls, with the next way to log in where the server refuses one; a refused request has changed nothing."""
        while True:
            self._carry()
            try:
                answer = self._quiet(call)
            except _LoginRefusedError as error:
                if not self.login.refused(str(error)):
                    raise UnreachableError(self.login.explained(str(error))) from None
            else:
                self.login.accepted()
                return answer

    def _carry(self) -> None:
        """Puts the credentials of the login into the client."""
        api = self.client._run_api.api_client
        credentials = self.login.credentials()
        api.cookie = credentials.cookie or None
        if credentials.token:
            api.configuration.api_key["authorization"] = credentials.token
        else:
            api.configuration.api_key.pop("authorization", None)

    def _quiet(self, call: Callable[[Any], T]) -> T:
        """Calls without the links that kfp prints."""
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                answer = call(self.client)
            except server_api().ApiException as error:
                if refusal := _refusal(error, self.settings.host):
                    raise _LoginRefusedError(refusal) from None
                raise
            except (AttributeError, TypeError, ValueError):
                self._require_api()
                raise
        self._require_api()
        return answer

    def _require_api(self) -> None:
        """Refuses a web page, which kfp's client takes for an empty answer."""
        last = getattr(self.client._run_api.api_client, "last_response", None)
        if last is not None and "text/html" in str(last.getheader("Content-Type", "")):
            raise UserError(f"{self.settings.host} returned a web page instead of the API; {ADDRESS}")

    @contextlib.contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turns the errors of kfp's client into messages for users."""
        from urllib3.exceptions import HTTPError

        host = self.settings.host
        try:
            yield
        except server_api().ApiException as error:
            message = " ".join(str(_message(error)).split())
            if error.status in {401, 403}:
                who = f", logged in by {self.login.used}" if self.login.used else ""
                hint = f"ask for a role in the namespace {self.settings.namespace}, such as kubeflow-edit"
                raise UnreachableError(f"cannot {what}: {host} denies access{who}: {message}; {hint}") from None
            if error.status in UNAVAILABLE:
                raise UnreachableError(f"cannot {what}: {host} does not respond: {message}") from None
            if error.status in REDIRECTS:
                raise UserError(f"cannot {what}: {host} redirects to {_target(error)}; write that as host") from None
            if error.status == 404 and not _is_json(error.body):
                raise UserError(
                    f"cannot {what}: {host} has no API of Kubeflow Pipelines ({message}); {ADDRESS}"
                ) from None
            raise UserError(f"cannot {what}: {message}") from None
        except (HTTPError, OSError) as error:
            if UNTRUSTED in str(error):
                raise UserError(
                    f"cannot {what}: the certificate of {host} is not trusted; set targets.kubeflow.ca_file to the "
                    f"file with its authority ({error})"
                ) from None
            raise UnreachableError(f"cannot {what}: {host} does not respond: {reason_of(error)}") from None


def _limit(rest: Any) -> None:
    """Gives every request a time limit: kfp's client has none, and a host that drops packets would hold it for minutes.

    Args:
        rest: The REST client of kfp, which all of its APIs share.
    """
    request = rest.request

    def limited(*words: Any, **more: Any) -> Any:
        limits = first_contact.connect_seconds(CONNECT_SECONDS), READ_SECONDS
        return request(*words, **{**more, "_request_timeout": more.get("_request_timeout") or limits})

    rest.request = limited


def _refusal(error: Any, host: str) -> str:
    """What a server says that does not know the caller; empty if it is another error.

    A gateway redirects to its login page or shows it with 403, the API server answers 401. Its own 403, in JSON, is
    about permissions of a caller that it knows.
    """
    if error.status == 401:
        return f"the server returned 401: {' '.join(str(_message(error)).split())}"
    if error.status in REDIRECTS:
        target = _target(error)
        here, there = urlsplit(host), urlsplit(target)
        if (here.hostname, here.path.rstrip("/")) == (there.hostname, there.path.partition("/apis/")[0].rstrip("/")):
            return ""  # only to another scheme or port
        return f"the server redirects to a login page, {target.partition('?')[0]}"
    if error.status == 403 and not _is_json(error.body):
        return f"the gateway returned 403: {_plain(error.body)}"
    return ""


def _target(error: Any) -> str:
    return str((error.headers or {}).get("Location", "elsewhere"))


def _is_json(body: Any) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (TypeError, ValueError):
        return False


def _plain(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    return "a login page" if "<html" in text.lower() else " ".join(text.split())[:120] or "no reason"


def _transient(error: Exception) -> bool:
    from urllib3.exceptions import HTTPError

    if isinstance(error, server_api().ApiException):
        return error.status in UNAVAILABLE
    return isinstance(error, HTTPError) and UNTRUSTED not in str(error)


def _message(error: Any) -> str:
    try:
        content = json.loads(error.body)
        found = content.get("message") or content.get("error_message")
        return str(found or content.get("error", {}).get("message"))
    except (TypeError, ValueError, AttributeError):
        return _plain(error.body) if error.body else str(error.reason)
