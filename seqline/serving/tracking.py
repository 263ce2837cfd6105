"""What a request and its answer carry beside their bodies: a label that the client sends, and the answer's id."""

import re
from contextvars import ContextVar
from dataclasses import dataclass

LABEL, ID = "x-slice", "x-answer-id"
"""Names of the headers, and of the metadata of gRPC: of the request, and of the response."""
VALID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
"""A label."""


@dataclass
class Tracked:
    """A request.

    Attributes:
        label: The client's label; empty for none.
        answer_id: The id of its first answer, once there is one; empty if none of its answers is sampled.
    """

    label: str = ""
    answer_id: str = ""


_current: ContextVar[Tracked | None] = ContextVar("tracked", default=None)


def track(label: str) -> Tracked:
    """Begins a request.

    Args:
        label: The client's label; one that is not valid is none.
    """
    tracked = Tracked(label if VALID.fullmatch(label) else "")
    _current.set(tracked)
    return tracked


def tracked() -> Tracked:
    """Returns the request that is being answered."""
    return _current.get() or Tracked()
