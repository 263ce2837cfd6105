"""Clients of the Vertex API.

The generated clients of google-cloud-aiplatform are used, not the layer above them: they are imported in half the time
and expose the whole API, while the layer above ignores an argument of `resume` and cannot update a schedule's end.
"""

from typing import Any


def connect(client: Any, location: str, api_endpoint: str = "", credentials: Any = None) -> Any:
    """Creates a client.

    Args:
        client: A service of google-cloud-aiplatform, such as `aiplatform_v1.ModelServiceClient`.
        location: The region.
        api_endpoint: Host of the API, such as a Private Service Connect one; empty for the region's own. The client
            uses gRPC; REST with https:// in front; and REST without credentials with http://, for an emulator.
        credentials: Google's credentials; None for the application default ones.
    """
    from google.auth.credentials import AnonymousCredentials

    host = api_endpoint or f"{location}-aiplatform.googleapis.com"
    options: dict[str, Any] = {"transport": "rest"} if "://" in host else {}
    if host.startswith("http://"):
        credentials = AnonymousCredentials()
    if credentials is not None:
        options["credentials"] = credentials
    return client(client_options={"api_endpoint": host}, **options)
