"""Sends one JSON message to a webhook, with retries and a time limit, and never shows its address."""

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

# Of one attempt, and before each further one.
ATTEMPT_SECONDS = 10.0
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
# What a later attempt may change; any other answer is final.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Undelivered(Exception):  # noqa: N818 (it is no defect)
    """A message was not delivered; the text holds no part of the address but its host."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the message and the address would go to another server."""

    def redirect_request(self, *_: Any) -> None:
        """Refuses."""


def post(address: str, message: Mapping[str, Any], deadline: float, key: str = "") -> None:
    """Sends a message, at least once if it is delivered.

    Args:
        address: The webhook's address, a secret.
        message: The JSON object.
        deadline: Of the monotonic clock.
        key: Equal in repetitions of a message, for receivers that ignore them.

    Raises:
        Undelivered: If the address is none, the receiver refuses the message, or does not respond in time.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not address.isascii() or any(c.isspace() for c in address):
        raise Undelivered("the secret is not an address such as https://hooks.example.org/...")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise Undelivered(f"the address at {host} must begin with https://")
    body = json.dumps(message, ensure_ascii=False, default=str).encode("utf-8")
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "seqline", "Idempotency-Key": key}
    request = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 (the scheme is checked)
    reason = f"{host} did not respond in time"
    for pause in (*PAUSES, None):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        again, reason, wait = _attempt(request, host, min(ATTEMPT_SECONDS, left))
        if not reason:
            return
        if not again or pause is None:
            break
        wait = max(pause, wait)
        if time.monotonic() + wait >= deadline:
            break
        log.info("%s; retrying in %g s", reason, wait)
        sleep(wait)
    raise Undelivered(reason)


def sleep(seconds: float) -> None:
    """Waits; tests replace it."""
    time.sleep(seconds)


def _attempt(request: urllib.request.Request, host: str, timeout: float) -> tuple[bool, str, float]:
    """Sends a request once.

    Returns:
        Whether a later attempt may succeed, why this one did not (empty if it did), and the seconds that the receiver
        asks to wait.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=timeout):
            return False, "", 0.0
    except urllib.error.HTTPError as error:
        with error:
            wait = _seconds(error.headers.get("Retry-After", "")) if error.headers else 0.0
        if 300 <= error.code < 400:
            return False, f"{host} returned {error.code}, a redirect, which Seqline does not follow", 0.0
        return (
            error.code in RETRIED,
            f"{host} returned {error.code} {http.client.responses.get(error.code, '')}".strip(),
            wait,
        )
    except urllib.error.URLError as error:
        # Its reason is an error of the socket or of TLS, or a text without the address.
        kind = error.reason.strerror if isinstance(error.reason, OSError) else ""
        return True, f"{host} cannot be reached ({kind or type(error.reason).__name__})", 0.0
    except (OSError, http.client.HTTPException) as error:
        return True, f"{host} does not respond ({type(error).__name__})", 0.0


def _seconds(text: str) -> float:
    """The value of Retry-After in seconds; 0 for a date, or none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
