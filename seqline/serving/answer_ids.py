"""The ids of answers that are sampled."""

import hashlib
import os
from typing import NamedTuple


class Ids(NamedTuple):
    """The ids of a request's answers.

    Attributes:
        request: The id of its first text, 32 hexadecimal digits; empty if none of its answers is sampled.
        sampled: The id of each text's answer; empty for one that is not sampled.
    """

    request: str = ""
    sampled: tuple[str, ...] = ()

    @classmethod
    def draw(cls, texts: int, share: float) -> "Ids":
        """Draws the ids of a request, and decides which of its answers are sampled.

        Args:
            texts: The number of its texts.
            share: Share of the answers that are sampled.
        """
        request = os.urandom(16).hex()
        every = [request, *(id_of(request, index) for index in range(1, texts))] if texts else []
        if share < 1:
            every = [id_ if is_sampled(id_, share) else "" for id_ in every]
        return cls(request, tuple(every)) if any(every) else NONE


NONE = Ids()


def id_of(request: str, index: int) -> str:
    """The id of a text's answer: that of the request, with -1, -2 and so on for the texts after the first.

    Args:
        request: The request's id.
        index: The text's position in the request.
    """
    return f"{request}-{index}" if index else request


def is_sampled(id_: str, share: float) -> bool:
    """Whether an answer is sampled: its id decides, so that every reader of it agrees.

    Args:
        id_: The answer's id.
        share: Share of the answers that are sampled.
    """
    number = int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big")
    return number < share * 2**64
