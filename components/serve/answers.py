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
    """

    text: str
    score: float | None


def frame(message: dict[str, Any]) -> bytes:
    """Returns a message as it goes over the socket: its length in four bytes, then JSON.

    Args:
        message: What to say.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body
