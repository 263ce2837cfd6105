"""An endpoint that does not respond, or denies access, ends a command with exit code 4."""

import contextlib
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from kubernetes.client import ApiException

from seqline.cli.exit_codes import exit_code
from seqline.endpoints import vertex_errors
from seqline.endpoints.kserve import cluster
from seqline.errors import UserError


def code(explained: Any, error: Exception) -> int:
    with pytest.raises(UserError, match=r".+") as caught, contextlib.ExitStack() as stack:
        stack.enter_context(explained("list the endpoints"))
        raise error
    return exit_code(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.PermissionDenied("no"), 4),
        (exceptions.ServiceUnavailable("failed to connect to all addresses"), 4),
        (RefreshError("Reauthentication is needed"), 4),
        (exceptions.InvalidArgument("wrong"), 1),
        (exceptions.NotFound("none"), 1),
    ],
)
def test_vertex(error: Exception, expected: int) -> None:
    assert code(vertex_errors.explained, error) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ApiException(403), 4), (ApiException(401), 4), (ConnectionRefusedError(), 4), (ApiException(422), 1)],
)
def test_kserve(error: Exception, expected: int) -> None:
    assert code(cluster._explained, error) == expected
