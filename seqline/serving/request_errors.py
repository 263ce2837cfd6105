"""Why a request is not answered."""

from enum import Enum


class Cause(Enum):
    """Why a request is refused: the HTTP status and the name of the gRPC status."""

    INVALID = (400, "INVALID_ARGUMENT")
    UNKNOWN = (404, "NOT_FOUND")
    TOO_LARGE = (413, "INVALID_ARGUMENT")
    BUSY = (429, "RESOURCE_EXHAUSTED")
    FAILED = (500, "INTERNAL")
    NOT_READY = (503, "UNAVAILABLE")
    TOO_SLOW = (504, "DEADLINE_EXCEEDED")


class RequestError(Exception):
    """A request that is not answered.

    Attributes:
        cause: Why.
        retry_after: Seconds to wait before asking again; None if that is of no use.
    """

    def __init__(self, cause: Cause, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.cause, self.retry_after = cause, retry_after
