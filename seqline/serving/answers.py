"""What goes between the server and a version's worker: requests and answers as JSON, one length-prefixed frame each."""

import json
import struct
from dataclasses import dataclass
from typing import Any

LENGTH = struct.Struct("!I")

# Decoding parameters by name, sorted; texts with the same ones can be answered together.
Parameters = tuple[tuple[str, float | int | bool], ...]


@dataclass(frozen=True)
class Answer:
    """What a model says to a text.

    Attributes:
        text: The output.
        score: Its log probability, normalised by length; None where the model gives no finite number.
        alternatives: Further outputs and their scores, the best first, where more than one was asked for.
        cut: Whether the text was longer than the model reads, and cut at its end.
    """

    text: str
    score: float | None
    alternatives: tuple[tuple[str, float | None], ...] = ()
    cut: bool = False

    def packed(self) -> list[Any]:
        """As JSON, for the socket."""
        return [self.text, self.score, self.alternatives, self.cut]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> "Answer":
        """The inverse of `packed`."""
        text, score, alternatives, cut = packed
        return cls(text, score, tuple((other, its) for other, its in alternatives), cut)


def frame(message: dict[str, Any]) -> bytes:
    """Returns a message as it goes over the socket: its length in four bytes, then JSON.

    Args:
        message: What to say.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body
