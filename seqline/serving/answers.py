"""Messages between the server and a version's worker: JSON in length-prefixed frames."""

import json
import struct
from dataclasses import dataclass
from typing import Any

LENGTH = struct.Struct("!I")

# Decoding parameters, sorted by name; texts with equal parameters can share a batch.
Parameters = tuple[tuple[str, float | int | bool], ...]


@dataclass(frozen=True)
class Counts:
    """Tokens of a text and of its outputs.

    Attributes:
        input: Tokens of the input, those of its prompt's template included.
        outputs: Tokens of each output, the end of sentence included.
        finished: Whether each output ended by itself, not at the largest number of tokens.
    """

    input: int
    outputs: tuple[int, ...]
    finished: tuple[bool, ...]


@dataclass(frozen=True)
class Answer:
    """The model's output for a text.

    Attributes:
        text: The output.
        score: Its log probability, normalised by length; None if it is not finite.
        alternatives: Further outputs and their scores, best first, if n_best is above 1.
        cut: Whether the text was longer than the model's limit and was truncated.
        counts: The numbers of tokens; None if the model does not return them.
    """

    text: str
    score: float | None
    alternatives: tuple[tuple[str, float | None], ...] = ()
    cut: bool = False
    counts: Counts | None = None

    def packed(self) -> list[Any]:
        """The answer as JSON, for the socket."""
        counts = self.counts and (self.counts.input, self.counts.outputs, self.counts.finished)
        return [self.text, self.score, self.alternatives, self.cut, counts]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> "Answer":
        """The inverse of `packed`."""
        text, score, alternatives, cut, counts = packed
        others = tuple((other, its) for other, its in alternatives)
        return cls(text, score, others, cut, Counts(counts[0], *map(tuple, counts[1:])) if counts else None)


def frame(message: dict[str, Any]) -> bytes:
    """Encodes a message for the socket: its length in four bytes, then JSON.

    Args:
        message: The message.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body
