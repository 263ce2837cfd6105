"""Errors of Google's clients: which may go away by themselves, and what they mean to a user."""

import contextlib
from collections.abc import Iterator

from seqline.errors import UnreachableError, UserError
from seqline.vertex_api.errors import transient_errors


def is_transient(error: Exception) -> bool:
    """Whether an error may go away by itself."""
    from google.api_core.exceptions import InternalServerError

    return isinstance(error, (*transient_errors(), InternalServerError))


def is_conflict(error: Exception) -> bool:
    """Whether the resource exists already; over REST every 409 has the same class."""
    from google.api_core.exceptions import Conflict

    return isinstance(error, Conflict)


def is_stale(error: Exception) -> bool:
    """Whether an etag is not the resource's any more: ABORTED, see AIP-154, or a failed precondition."""
    from google.api_core.exceptions import Conflict, FailedPrecondition, PreconditionFailed

    return isinstance(error, (Conflict, FailedPrecondition, PreconditionFailed))


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns the errors of Google's clients into messages for users."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.PermissionDenied as error:
        raise UnreachableError(f"Vertex does not let this caller {what}: {error}") from error
    except (exceptions.GoogleAPIError, *transient_errors()) as error:
        kind = UnreachableError if isinstance(error, transient_errors()) else UserError
        raise kind(f"Vertex did not {what}: {error}") from error
    except GoogleAuthError as error:
        hint = "`gcloud auth application-default login` creates new credentials"
        raise UnreachableError(f"Vertex did not {what}: {error}; {hint}") from error
