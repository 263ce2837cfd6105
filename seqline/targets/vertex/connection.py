"""The connection to Vertex: clients of Google's own library, what their errors mean to a person, and lost answers.

The generated clients of google-cloud-aiplatform are used, not the layer above them: they are imported in half the time,
and can all that the API can, while the layer above ignores what `resume` is asked and cannot update a schedule's end.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from seqline.configuration.vertex import VertexTarget
from seqline.errors import UserError
from seqline.targets.attempts import Attempts
from seqline.targets.target import UnreachableError

T = TypeVar("T")
# Seconds before each further attempt; a quota is counted by the minute.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass
class Connection:
    """Clients of one project and region; each is made when it is first asked for.

    Attributes:
        settings: What the configuration says about Vertex.
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
        """Whether the API is an emulator on this machine: it is spoken to without credentials, for there is no TLS."""
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
            raise UnreachableError(
                "there are no Google Cloud credentials; `gcloud auth application-default login` makes them"
            ) from None

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
        """For the services that have no client here: an authorized session of requests."""
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self.credentials)

    def _client(self, kind: Any) -> Any:
        endpoint = self.settings.api_address or f"{self.settings.location}-aiplatform.googleapis.com"
        transport = "rest" if "://" in endpoint else "grpc"
        return kind(credentials=self.credentials, transport=transport, client_options={"api_endpoint": endpoint})

    def read(self, what: str, call: Callable[[], T]) -> T:
        """Calls something that changes nothing, again while the service is not available.

        Args:
            what: For the error, such as "list the runs".
            call: The call.

        Raises:
            UserError: If it is refused.
            UnreachableError: If there is no answer, or this caller may not.
        """
        return self._attempts.read(what, call)

    def write(self, what: str, look: Callable[[], T | None], call: Callable[[], T]) -> T:
        """Makes something once, also when the answer is lost: it looks for it before every attempt.

        Args:
            what: For the error, such as "create schedule nightly".
            look: Returns what the call makes, if it is there.
            call: Makes it.

        Raises:
            UserError: If it is refused.
            UnreachableError: If there is no answer, or this caller may not.
        """
        return self._attempts.write(what, look, call)

    @property
    def _attempts(self) -> Attempts:
        def is_there(error: Exception) -> bool:
            from google.api_core.exceptions import AlreadyExists, Conflict

            return isinstance(error, (AlreadyExists, Conflict))

        def transient(error: Exception) -> bool:
            return isinstance(error, transient_errors())

        return Attempts(PAUSES, self.explained, transient, is_there, self.sleep)

    @contextlib.contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turns the errors of Google's clients into messages for a person."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        place = f"{self.settings.project} in {self.settings.location}"
        try:
            yield
        except exceptions.Unauthenticated as error:
            hint = "`gcloud auth application-default login` renews the credentials"
            raise UnreachableError(f"cannot {what}: {_said(error)}; {hint}") from None
        except exceptions.Forbidden as error:
            hint = f"the caller needs the role roles/aiplatform.user on project {self.settings.project}"
            raise UnreachableError(f"cannot {what}: {_said(error)}; {hint}") from None
        except exceptions.NotFound as error:
            raise UserError(f"cannot {what}: {place}: {_said(error)}") from None
        except (exceptions.ClientError, exceptions.PreconditionFailed) as error:
            if isinstance(error, transient_errors()):
                raise UnreachableError(f"cannot {what}: {place}: {_said(error)}; try again later") from None
            raise UserError(f"cannot {what}: {_said(error)}") from None
        except (*transient_errors(), exceptions.GoogleAPICallError, GoogleAuthError) as error:
            where = self.settings.api_endpoint or place
            raise UnreachableError(f"cannot {what}: {where} does not answer: {_said(error)}") from None


def transient_errors() -> tuple[type[Exception], ...]:
    """What may go away by itself: no answer, an overloaded service, a quota that is used up for this minute."""
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    return (
        exceptions.ServiceUnavailable,
        exceptions.TooManyRequests,
        exceptions.GatewayTimeout,
        exceptions.BadGateway,
        requests.ConnectionError,
        requests.Timeout,
        TransportError,
    )


def _said(error: Exception) -> str:
    """What the service said, without the request's address in front of it."""
    text = str(getattr(error, "message", "") or error)
    words = text.split(" ", 2)
    if words[0] in {"GET", "POST", "PATCH", "DELETE", "PUT"} and len(words) == 3 and urlsplit(words[1]).scheme:
        text = words[2]
    return " ".join(text.split()).rstrip(".")
