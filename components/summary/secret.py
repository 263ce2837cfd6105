"""Reads a secret: from the environment, a file, or Secret Manager."""

import base64
import os

from seqline.errors import UserError
from seqline.paths import expanded

API = "https://secretmanager.googleapis.com/v1"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT = 10.0


def read_secret(where: str) -> str:
    """Reads a secret.

    Args:
        where: `env:NAME`, `file:/PATH`, or `projects/P/secrets/NAME`, of which the latest version is read unless one
            is given.

    Returns:
        The secret, without spaces around it.

    Raises:
        UserError: If there is none, or this caller may not read it; the message names the place and not the secret.
    """
    kind, _, name = where.partition(":")
    if kind == "env":
        found = os.environ.get(name, "")
    elif kind == "file":
        found = _file(name)
    else:
        found = _secret_manager(where)
    if not found.strip():
        raise UserError(f"{where} is empty or not set")
    return found.strip()


def _file(name: str) -> str:
    try:
        return expanded(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"cannot read file:{name}: {reason}") from None


def _secret_manager(where: str) -> str:
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    version = where if "/versions/" in where else f"{where}/versions/latest"
    try:
        session = AuthorizedSession(google.auth.default(scopes=[SCOPE])[0])
        response = session.get(f"{API}/{version}:access", timeout=TIMEOUT)
    except (GoogleAuthError, requests.RequestException) as error:
        raise UserError(f"cannot read {version}: {type(error).__name__}") from None
    if response.status_code == 403:
        role = "roles/secretmanager.secretAccessor"
        raise UserError(f"cannot read {version}: the run's service account needs the role {role} on the secret")
    if response.status_code != 200:
        raise UserError(f"cannot read {version}: Secret Manager returned {response.status_code}")
    try:
        return base64.b64decode(response.json()["payload"]["data"]).decode("utf-8")
    except (ValueError, KeyError, TypeError):
        raise UserError(f"cannot read {version}: it is not text") from None
