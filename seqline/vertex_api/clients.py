"""Clients of the Vertex API, for the stages that ask it."""

from typing import Any


def connect(client: Any, location: str, api_endpoint: str = "") -> Any:
    """Makes a client.

    Args:
        client: A service of google-cloud-aiplatform, such as `aiplatform_v1.ModelServiceClient`.
        location: The region.
        api_endpoint: Host of the API, such as a Private Service Connect one; empty for the region's own. gRPC is
            spoken to it, with https:// in front REST, and with http:// REST without credentials: an emulator's.
    """
    from google.auth.credentials import AnonymousCredentials

    host = api_endpoint or f"{location}-aiplatform.googleapis.com"
    named: dict[str, Any] = {"transport": "rest"} if "://" in host else {}
    if host.startswith("http://"):
        named["credentials"] = AnonymousCredentials()
    return client(client_options={"api_endpoint": host}, **named)
