"""Marks the words in which two texts differ."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

# Words, spaces, and single signs; scripts without spaces between words are compared character by character.
TOKEN = re.compile(r"\s+|[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A stretch of a text.

    Attributes:
        text: Its characters.
        differs: Whether the other text has something else there.
    """

    text: str
    differs: bool


def differences(first: str, second: str) -> tuple[list[Piece], list[Piece]]:
    """Cuts two texts where they part and meet, word by word.

    Args:
        first: A text.
        second: Another.

    Returns:
        The pieces of either; joined, they are the text again.
    """
    tokens, others = TOKEN.findall(first), TOKEN.findall(second)
    ours: list[Piece] = []
    theirs: list[Piece] = []
    for operation, a, b, c, d in SequenceMatcher(None, tokens, others, autojunk=False).get_opcodes():
        _add(ours, "".join(tokens[a:b]), operation != "equal")
        _add(theirs, "".join(others[c:d]), operation != "equal")
    return ours, theirs


def _add(pieces: list[Piece], text: str, differs: bool) -> None:
    if text:
        pieces.append(Piece(text, differs))
