"""Requests to an endpoint on KServe, by the protocol of TensorFlow Serving: docs/serving.md."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from seqline.endpoints.back_end import NONE, RefusedError, Reply
from seqline.endpoints.events import deltas
from seqline.errors import UnreachableError, UserError

TIMEOUT = (10.0, 600.0)
# Statuses of a request that fails because of what it holds; it fails again.
REFUSALS = (400, 413, 500)
# Seconds before each further attempt, while a new address is not known everywhere.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
TOKEN_FILE = "SEQLINE_TOKEN_FILE"  # noqa: S105 (a variable's name)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass
class Requests:
    """Sends requests.

    Attributes:
        name: The model's name in addresses.
        gateway: Address of the ingress gateway, such as http://10.0.0.1:8080, for clients that cannot resolve the
            endpoint's own; the gateway finds the endpoint by the Host header. Empty for the endpoint's own address.
        sleep: Waits some seconds.
    """

    name: str
    gateway: str = ""
    sleep: Any = field(default=time.sleep)

    def method(self, address: str) -> str:
        """Returns the address of the predict method.

        Args:
            address: The endpoint's address.
        """
        return f"{address.rstrip('/')}/v1/models/{self.name}:predict"

    def ask(self, address: str, version: int, texts: list[str]) -> list[Reply]:
        """Sends a version one request for each text.

        Args:
            address: The address at which it answers.
            version: Its number, which its answers must name.
            texts: The texts.

        Raises:
            UserError: If it does not respond, or another version does.
        """
        # Connects, and waits until the address is known; the requests below measure the prediction.
        self._reach(address, version, texts[0])
        replies = []
        for text in texts:
            started = time.monotonic()
            body, by = self._predict(address, {"instances": [text]})
            milliseconds = round(1000 * (time.monotonic() - started), 1)
            _require_version(address, version, by)
            replies.append(Reply(text, str(body["predictions"][0]["text"]), milliseconds))
        return replies

    def predict(self, address: str, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends texts in one request.

        Args:
            address: The endpoint's address.
            texts: The texts.
            parameters: Decoding parameters.

        Raises:
            RefusedError: If the endpoint refuses the texts or the parameters.
            UserError: If it does not respond.
        """
        body, _ = self._predict(address, {"instances": texts, "parameters": dict(parameters)})
        return list(body["predictions"])

    def stream(self, address: str, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Yields the pieces of one text's answer, as they arrive.

        Args:
            address: The endpoint's address.
            text: The text.
            parameters: Decoding parameters.

        Raises:
            RefusedError: If the endpoint refuses the text or the parameters.
            UserError: If it does not respond.
        """
        body = {"instances": [text], "parameters": dict(parameters), "stream": True}
        with self._explained(address), contextlib.closing(self._post(address, body)) as response:
            yield from deltas(response.iter_lines())

    def _reach(self, address: str, version: int, text: str) -> None:
        for pause in PAUSES:
            try:
                _, by = self._predict(address, {"instances": [text]})
                if by == str(version):
                    return
            except RefusedError:
                raise
            except UserError:
                pass
            self.sleep(pause)
        _, by = self._predict(address, {"instances": [text]})
        _require_version(address, version, by)

    def _predict(self, address: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        with self._explained(address), contextlib.closing(self._post(address, body)) as response:
            return dict(response.json()), response.headers.get("X-Model-Version", "")

    def _post(self, address: str, body: dict[str, Any]) -> Any:
        url, headers = self.method(address), {"Content-Type": "application/json"}
        if self.gateway:
            own, gateway = urlsplit(url), urlsplit(self.gateway if "://" in self.gateway else f"http://{self.gateway}")
            headers["Host"] = own.netloc
            url = urlunsplit((gateway.scheme, gateway.netloc, gateway.path.rstrip("/") + own.path, "", ""))
        token = _token(url)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # A redirect leads to a page where a person logs in.
        response = self.session.post(
            url, data=json.dumps(body).encode(), headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
        )
        if response.status_code == 200:
            return response
        with contextlib.closing(response):
            message = _message(response)
        if response.status_code in REFUSALS and response.headers.get("Content-Type", "").startswith("application/json"):
            raise RefusedError(message)
        if response.status_code in (301, 302, 303, 307, 308, 401, 403):
            raise UnreachableError(
                f"{address} requires a login (status {response.status_code}): set {TOKEN_FILE} to a file with a bearer "
                "token" + (" that is valid" if token else "")
            )
        raise UserError(f"{address} returned status {response.status_code}: {message}")

    @cached_property
    def session(self) -> Any:
        """The session, which keeps connections."""
        import requests

        session = requests.Session()
        # A proxy of the environment, or a password in ~/.netrc, is for other servers.
        session.trust_env = not self.gateway
        return session

    @contextlib.contextmanager
    def _explained(self, address: str) -> Iterator[None]:
        """Turns the errors of the HTTP client into messages for users."""
        import requests

        try:
            yield
        except requests.RequestException as error:
            hint = "" if self.gateway else "; where its name does not resolve, give the address of the ingress gateway"
            raise UnreachableError(f"{address} does not respond: {error}{hint}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{address} does not respond as Seqline's server does: {error!r}") from error


def _require_version(address: str, version: int, by: str) -> None:
    if by != str(version):
        raise UserError(
            f"version {version} failed its smoke request: at {address} "
            + (f"version {by} answers" if by else "a server without the header X-Model-Version answers")
            + "; if no one else has deployed in the meantime, the serving image is older than this Seqline: "
            "build it again"
        )


def _token(url: str) -> str:
    """The bearer token, read again for each request: it may change. It is sent over TLS, or on this machine."""
    path = os.environ.get(TOKEN_FILE, "")
    if not path:
        return ""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UserError(f"{TOKEN_FILE} is set, but {url} is not https: a token is not sent over plain HTTP; unset it")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{TOKEN_FILE}: {path} cannot be read: {error.strerror}") from error


def _message(response: Any) -> str:
    """The message in the body of an error, or the beginning of the body."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return str(response.text[:200]).strip() or str(response.reason)
