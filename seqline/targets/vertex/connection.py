"""The connection to Vertex: clients, error messages for users, retries."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from seqline.configuration.vertex import VertexTarget
from seqline.errors import UnreachableError, UserError
from seqline.targets.vertex.roles import role_of
from seqline.vertex_api.clients import NO_CREDENTIALS, connect
from seqline.vertex_api.errors import transient_errors
from seqline.vertex_api.first_contact import is_silence, reason_of
from seqline.vertex_api.retries import Retries

T = TypeVar("T")
# Seconds before each further attempt; a quota is counted by the minute.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass
class Connection:
    """Clients of one project and region; each is created when it is first used.

    Attributes:
        settings: The configuration's `targets.vertex`.
        sleep: Waits some seconds.
    """

    settings: VertexTarget
    sleep: Callable[[float], None] = time.sleep

    @property
    def parent(self) -> str:
        """The location, in the name of every resource."""
        return f"projects/{self.settings.project}/locations/{self.settings.location}"

    @property
    def plain(self) -> bool:
        """Whether the API is an emulator on this machine, without TLS and so without credentials."""
        return self.settings.api_endpoint.startswith("http://")

    @cached_property
    def credentials(self) -> Any:
        """Application default credentials.

        Raises:
            UnreachableError: If there are none.
        """
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError

        if self.plain:
            return AnonymousCredentials()
        try:
            return google.auth.default(scopes=[SCOPE])[0]
        except DefaultCredentialsError:
            raise UnreachableError(NO_CREDENTIALS) from None

    @cached_property
    def pipelines(self) -> Any:
        """The client of pipeline jobs."""
        from google.cloud.aiplatform_v1 import PipelineServiceClient

        return self._client(PipelineServiceClient)

    @cached_property
    def schedules(self) -> Any:
        """The client of schedules."""
        from google.cloud.aiplatform_v1 import ScheduleServiceClient

        return self._client(ScheduleServiceClient)

    @cached_property
    def session(self) -> Any:
        """An authorized session of requests, for services without a client here."""
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self.credentials)

    def _client(self, kind: Any) -> Any:
        return connect(kind, self.settings.location, self.settings.api_address, self.credentials)

    def read(self, what: str, call: Callable[[], T]) -> T:
        """Calls something that may be done twice, and retries while the service is unavailable.

        Args:
            what: For the error, such as "list the runs".
            call: The call.

        Raises:
            UserError: If the request is rejected.
            UnreachableError: If there is no response, or this caller has no permission.
        """
        return self._retries.read(what, call)

    def write(self, what: str, look: Callable[[], T | None], call: Callable[[], T]) -> T:
        """Creates something once, even when the response is lost: it is looked up before every attempt.

        Args:
            what: For the error, such as "create schedule nightly".
            look: Returns the resource if it exists.
            call: Creates it.

        Raises:
            UserError: If the request is rejected.
            UnreachableError: If there is no response, or this caller has no permission.
        """
        return self._retries.write(what, look, call)

    @property
    def _retries(self) -> Retries:
        def exists(error: Exception) -> bool:
            from google.api_core.exceptions import AlreadyExists, Conflict

            return isinstance(error, (AlreadyExists, Conflict))

        def transient(error: Exception) -> bool:
            return isinstance(error, transient_errors())

        return Retries(PAUSES, self.explained, transient, exists, self.sleep)

    @contextlib.contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turns the errors of Google's clients into messages for users."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        scope = f"{self.settings.project} in {self.settings.location}"
        try:
            yield
        except exceptions.Unauthenticated as error:
            hint = "`gcloud auth application-default login` renews the credentials"
            raise UnreachableError(f"cannot {what}: {_message(error)}; {hint}") from None
        except exceptions.Forbidden as error:
            raise UnreachableError(f"cannot {what}: {_message(error)}; {self._hint(_message(error))}") from None
        except exceptions.NotFound as error:
            raise UserError(f"cannot {what}: {scope}: {_message(error)}") from None
        except (exceptions.ClientError, exceptions.PreconditionFailed) as error:
            if isinstance(error, transient_errors()):
                raise UnreachableError(f"cannot {what}: {scope}: {_message(error)}; try again later") from None
            raise UserError(f"cannot {what}: {_message(error)}") from None
        except (*transient_errors(), exceptions.GoogleAPICallError, GoogleAuthError) as error:
            where = self.settings.api_endpoint or scope
            said = reason_of(error) if is_silence(error) else _message(error)
            raise UnreachableError(f"cannot {what}: {where} does not respond: {said}") from None

    def _hint(self, message: str) -> str:
        """Names the role of a permission that is missing, as far as the service's message names the permission."""
        role, on = role_of(message)
        doctor = "`seqline doctor --target vertex` lists the roles that are missing"
        if not role:
            return doctor
        if on == "key":
            return f"a service agent of Google needs the role {role} on the key; {doctor}"
        places = {"project": f"project {self.settings.project}", "bucket": "the bucket of the runs"}
        places |= {"data": "the bucket of the data", "images": "the repository of images"}
        places |= {"templates": "the repository of templates", "secret": "the secret", "dataset": "the dataset"}
        return f"the caller needs the role {role} on {places.get(on, 'the service account')}; {doctor}"


def _message(error: Exception) -> str:
    """The service's message, without the request's address before it."""
    text = str(getattr(error, "message", "") or error)
    words = text.split(" ", 2)
    if words[0] in {"GET", "POST", "PATCH", "DELETE", "PUT"} and len(words) == 3 and urlsplit(words[1]).scheme:
        text = words[2]
    return " ".join(text.split()).rstrip(".")
