"""Sessions of HTTP requests with Google's credentials, for what the generated clients do not call."""

from typing import Any

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def authorized_session(anonymous: bool = False) -> Any:
    """Creates a session of requests.

    Args:
        anonymous: Whether to send no credentials, to an emulator.
    """
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(AnonymousCredentials() if anonymous else google.auth.default(scopes=[SCOPE])[0])
