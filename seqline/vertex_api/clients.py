"""Clients of the Vertex API.

The generated clients of google-cloud-aiplatform are used, not the layer above them: they are imported in half the time
and expose the whole API, while the layer above ignores an argument of `resume` and cannot update a schedule's end.
"""

import functools
import inspect
from typing import Any

from seqline.errors import UnreachableError

NO_CREDENTIALS = "there are no Google Cloud credentials; `gcloud auth application-default login` creates them"
# Time limit of one call; the generated clients of these services have none. Long operations have another.
CALL_SECONDS = 60.0


class LimitedClient:
    """A client whose every call has a time limit, unless the call sets another.

    Args:
        client: The generated client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the client; a method that takes a timeout gets the default one."""
        found = getattr(self._client, name)
        if inspect.ismethod(found) and "timeout" in inspect.signature(found).parameters:
            return functools.partial(found, timeout=CALL_SECONDS)
        return found


def connect(client: Any, location: str, api_endpoint: str = "", credentials: Any = None) -> Any:
    """Creates a client whose calls have a time limit.

    Args:
        client: A service of google-cloud-aiplatform, such as `aiplatform_v1.ModelServiceClient`.
        location: The region.
        api_endpoint: Host of the API, such as a Private Service Connect one; empty for the region's own. The client
            uses gRPC; REST with https:// in front; and REST without credentials with http://, for an emulator.
        credentials: Google's credentials; None for the application default ones.

    Raises:
        UnreachableError: If there are no credentials.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError

    host = api_endpoint or f"{location}-aiplatform.googleapis.com"
    options: dict[str, Any] = {"transport": "rest"} if "://" in host else {}
    if host.startswith("http://"):
        credentials = AnonymousCredentials()
    if credentials is not None:
        options["credentials"] = credentials
    try:
        return LimitedClient(client(client_options={"api_endpoint": host}, **options))
    except DefaultCredentialsError:
        raise UnreachableError(NO_CREDENTIALS) from None
