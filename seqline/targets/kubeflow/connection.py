"""The connection to a KFP server: its client, error messages for users, retries."""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from seqline.configuration.kubeflow import KubeflowTarget
from seqline.errors import UserError
from seqline.paths import expanded
from seqline.targets.target import UnreachableError
from seqline.vertex_api.retries import Retries

T = TypeVar("T")
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
UNAVAILABLE = {429, 502, 503, 504}


@dataclass
class Connection:
    """One server.

    Attributes:
        settings: The configuration's `targets.kubeflow`.
        sleep: Waits some seconds.
    """

    settings: KubeflowTarget
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def client(self) -> Any:
        """The client of kfp, created when it is first used."""
        from kfp.client import Client

        token = self.settings.token_file and expanded(self.settings.token_file)
        authority = self.settings.ca_file and str(expanded(self.settings.ca_file))
        if token and not token.is_file():
            raise UserError(f"targets.kubeflow.token_file: there is no file {token}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Client(
                host=self.settings.host.rstrip("/"),
                namespace=self.settings.namespace,
                existing_token=token.read_text(encoding="utf-8").strip() if token else None,
                ssl_ca_cert=authority or None,
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
        return self._retries.read(what, lambda: self._quiet(call))

    def write(self, what: str, look: Callable[[Any], T | None], call: Callable[[Any], T]) -> T:
        """Creates something once, even when the response is lost: it is looked up before every attempt.

        Args:
            what: For the error.
            look: Returns the resource if it exists.
            call: Creates it.
        """
        return self._retries.write(what, lambda: self._quiet(look), lambda: self._quiet(call))

    @property
    def _retries(self) -> Retries:
        return Retries(PAUSES, self.explained, _transient, sleep=self.sleep)

    def _quiet(self, call: Callable[[Any], T]) -> T:
        """Calls without the links that kfp prints."""
        with contextlib.redirect_stdout(io.StringIO()):
            return call(self.client)

    @contextlib.contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turns the errors of kfp's client into messages for users."""
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        host = self.settings.host
        try:
            yield
        except ApiException as error:
            message = " ".join(str(_message(error)).split())
            if error.status in {401, 403}:
                hint = "set targets.kubeflow.token_file to a file with a token that has the permission"
                raise UnreachableError(f"cannot {what}: {host} refuses this caller: {message}; {hint}") from None
            if error.status in UNAVAILABLE:
                raise UnreachableError(f"cannot {what}: {host} does not answer: {message}") from None
            raise UserError(f"cannot {what}: {message}") from None
        except (HTTPError, OSError) as error:
            raise UnreachableError(f"cannot {what}: {host} does not answer: {error}") from None


def _transient(error: Exception) -> bool:
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    return error.status in UNAVAILABLE if isinstance(error, ApiException) else isinstance(error, HTTPError)


def _message(error: Any) -> str:
    import json

    try:
        content = json.loads(error.body)
        return str(content.get("message") or content.get("error", {}).get("message"))
    except (TypeError, ValueError, AttributeError):
        return str(error.reason)
