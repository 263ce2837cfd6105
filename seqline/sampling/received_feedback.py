"""Feedback on its way from the server to the process that stores it."""

from typing import NamedTuple


class ReceivedFeedback(NamedTuple):
    """Feedback on an answer.

    Attributes:
        id: The answer's id.
        time: When it was sent, in seconds since 1970.
        version: The version that gave the answer.
        rating: From -1, bad, to 1, good.
        correction: A better output.
        source: The text.
        output: The output as it was served.
        comment: What else the person wrote.
        redacted: Whether source and output have been redacted.
    """

    id: str
    time: float
    version: str
    rating: float | None = None
    correction: str | None = None
    source: str | None = None
    output: str | None = None
    comment: str | None = None
    redacted: bool = False

    @property
    def characters(self) -> int:
        """Characters of its texts."""
        return sum(map(len, filter(None, (self.correction, self.source, self.output, self.comment))))
