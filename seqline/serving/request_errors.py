"""Errors of requests, with the status codes of HTTP and gRPC."""

from enum import Enum


class Cause(Enum):
    """The cause of an error: its HTTP status and the name of its gRPC status."""

    INVALID = (400, "INVALID_ARGUMENT")
    UNKNOWN = (404, "NOT_FOUND")
    TOO_LARGE = (413, "INVALID_ARGUMENT")
    UNSUPPORTED = (415, "INVALID_ARGUMENT")
    BUSY = (429, "RESOURCE_EXHAUSTED")
    FAILED = (500, "INTERNAL")
    NOT_READY = (503, "UNAVAILABLE")
    TOO_SLOW = (504, "DEADLINE_EXCEEDED")


class RequestError(Exception):
    """A request that fails.

    Attributes:
        cause: The cause.
        retry_after: Seconds to wait before a retry; None if a retry does not help.
    """

    def __init__(self, cause: Cause, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.cause, self.retry_after = cause, retry_after
